import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { matchesGlob } from '../../../exporter/model/glob.ts';
import { cpuMs } from '../../../testing/patience.ts';

test('globs match the whole text', () => {
  for (const [pattern, text] of [
    ['*', ''],
    ['*', 'a'],
    ['', ''],
    ['a?c', 'abc'],
    ['iothread:*', 'iothread:io0'],
    ['*-db', 'a-db-db'],
    ['a*b*c', 'a1b2b3c'],
    ['**', 'x'],
    ['v.*', 'v.1'],
    ['[a]', '[a]'],
    ['*?', 'a'],
  ] as [string, string][]) {
    assert.equal(matchesGlob(pattern, text), true, `${pattern} ${text}`);
  }
  for (const [pattern, text] of [
    ['', 'a'],
    ['a', ''],
    ['a', 'ab'],
    ['b', 'ab'],
    ['?', ''],
    ['a*b', 'abc'],
    ['v.1', 'vx1'],
    ['A', 'a'],
    ['*?', ''],
    ['a?', 'a'],
    ['[a]', 'a'],
  ] as [string, string][]) {
    assert.equal(matchesGlob(pattern, text), false, `${pattern} ${text}`);
  }
});

test('globs agree with the regular expression that they stand for', () => {
  const letters = (...choice: string[]) => fc.array(fc.constantFrom(...choice), { maxLength: 7 });
  fc.assert(
    fc.property(letters('a', 'b', '*', '?'), letters('a', 'b'), (pattern, text) => {
      const expression = pattern.map((part) => ({ '*': '.*', '?': '.' })[part] ?? part).join('');
      assert.equal(
        matchesGlob(pattern.join(''), text.join('')),
        new RegExp(`^${expression}$`).test(text.join('')),
      );
    }),
    { numRuns: 2000 },
  );
});

test('a pattern that makes regular expressions backtrack takes little time', async () => {
  const ms = await cpuMs(() => assert.equal(matchesGlob(`${'*a'.repeat(50)}*b`, 'a'.repeat(5000)), false));
  assert.ok(ms < 5000, `${ms} ms`);
});
