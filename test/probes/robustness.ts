import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SourceError } from '../../probes/errors.ts';

const MIB = 1024 * 1024;

/** Text that makes careless parsers slow or wrong, repeated to a mebibyte. */
const ALL_UNITS: readonly string[] = [
  ...'() \n\t09,-:[]{}<&\0\xff\xa0"',
  '- ',
  '1 ',
  ' 1',
  '0-65535,',
  '0,',
  'a:\n',
  'a b ',
  '\n\n ',
  ') ',
  '<a>',
  "<a b='",
  '&amp;',
  '\\040',
  'CPU0 ',
];

const TOKENS: readonly string[] = [
  ...'() \n\t,-:[]\0\xff\xa0"\'<',
  '-1',
  '0x10',
  'NaN',
  'Infinity',
  '1e999',
  '9007199254740993',
  '18446744073709551616',
  '9'.repeat(400),
  'a) R 1 (b',
  '\nse.nr_migrations : 9',
  '\nvoluntary_ctxt_switches:\t',
  '\n--------------------\n',
];

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));

function fill(unit: string): string {
  return unit.repeat(Math.ceil(MIB / unit.length));
}

/** The result of a parser; undefined if it refused the text. Any error but SourceError fails the test. */
export function outcome<T>(parse: (text: string) => T, text: string): T | undefined {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    assert.equal(error.kind, 'malformed');
    assert.ok(error.message.length < 1000, 'an error message that grows with the input');
    return undefined;
  }
}

/** No number in it, however deep, is NaN, infinite or negative. */
export function assertSound(value: unknown): void {
  if (typeof value === 'number') assert.ok(Number.isFinite(value) && value >= 0, `the number ${value}`);
  else if (value instanceof Map) for (const entry of value) assertSound(entry);
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(assertSound);
}

/** Variations of a real text: pieces are cut out, repeated or overwritten, or bad tokens are inserted. */
export function mutated(samples: readonly string[]): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat(),
    length: fc.nat({ max: 30 }),
    by: fc.oneof(fc.constant(''), byte, fc.constantFrom(...TOKENS), fc.constant('again')),
  });
  return fc
    .tuple(fc.constantFrom(...samples), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([sample, edits]) =>
      edits.reduce((text, { at, length, by }) => {
        const start = at % (text.length + 1);
        const piece = text.slice(start, start + length);
        return text.slice(0, start) + (by === 'again' ? piece + piece : by) + text.slice(start + length);
      }, sample),
    );
}

/**
 * The tests that every parser of kernel text has to pass.
 *
 * @param samples real texts, from which bad ones are made
 * @param units text to fill a mebibyte with, for a slow parser
 */
export function testRobustness(
  name: string,
  parse: (text: string) => unknown,
  samples: readonly string[],
  units = ALL_UNITS,
): void {
  const check = (text: string): void => assertSound(outcome(parse, text));

  test(`${name} accepts the real samples and refuses bad text with a SourceError only`, () => {
    for (const sample of samples) assertSound(parse(sample));
    fc.assert(fc.property(mutated(samples), check), { numRuns: 400 });
    fc.assert(fc.property(fc.string({ unit: byte, maxLength: 300 }), check), { numRuns: 200 });
  });

  test(`${name} gives sound numbers or a SourceError for a text that is cut at any byte`, () => {
    for (const sample of samples) {
      const step = Math.ceil(sample.length / 2000);
      for (let end = 0; end < sample.length; end += step) check(sample.slice(0, end));
    }
  });

  test(`${name} comes to an end on a mebibyte of anything`, () => {
    const sample = samples[0] ?? '';
    const middle = sample.length >> 1;
    for (const unit of units) {
      const text = fill(unit);
      for (const hostile of [text, sample + text, sample.slice(0, middle) + text + sample.slice(middle)])
        check(hostile);
    }
  });
}

/**
 * For a text that is useless if truncated: each truncation is refused, or has the same result if only the end is
 * missing.
 */
export function testCutIsNeverMisread(name: string, parse: (text: string) => unknown, sample: string): void {
  test(`${name} never reads a wrong value from a text that is cut short`, () => {
    const whole = parse(sample);
    for (let end = 0; end < sample.length; end++) {
      const value = outcome(parse, sample.slice(0, end));
      if (value !== undefined) assert.deepEqual(value, whole);
    }
  });
}
