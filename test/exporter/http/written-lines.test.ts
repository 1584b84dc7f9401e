import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WrittenLines } from '../../../exporter/http/written-lines.ts';
import type { Family } from '../../../exporter/metrics/families.ts';

const LONG = 1000;

function family(
  values: readonly number[],
  labels = values.map((_, i) => `vcpu="${i}"`),
  name = 'kvm_x',
): Family {
  return { name, type: 'gauge', help: 'X.', labels, values, suffixes: [] };
}

function textOf(written: WrittenLines, wanted: Family): string {
  return Buffer.concat([...written.piecesOf(wanted)]).toString();
}

test('the lines of any sequence of families equal those without a cache', () => {
  const values = fc.array(fc.constantFrom(0, -0, 1, 2.5, Number.NaN, 1e21), { maxLength: 400 });
  const sharedLabels = Array.from({ length: 400 }, (_, i) => `vcpu="${i}"`);
  const steps = fc.array(
    fc.record({ values, name: fc.constantFrom('kvm_a', 'kvm_b'), shares: fc.boolean() }),
  );
  fc.assert(
    fc.property(steps, fc.constantFrom(0, 5000, 1e9), (all, maxBytes) => {
      const written = new WrittenLines(maxBytes);
      for (const step of all) {
        const wanted = family(step.values, step.shares ? sharedLabels : undefined, step.name);
        assert.equal(textOf(written, wanted), textOf(new WrittenLines(), wanted));
        assert.ok(written.bytes <= maxBytes);
      }
    }),
  );
});

test('only the piece with a changed value is formatted again', () => {
  const written = new WrittenLines();
  const before = family(Array.from({ length: LONG }, (_, i) => i));
  const first = [...written.piecesOf(before)];
  const values = [...before.values];
  values[LONG - 1] = -1;
  const second = [...written.piecesOf({ ...before, values })];
  assert.deepEqual(
    second.map((piece, i) => piece === first[i]),
    first.map((_, i) => i < first.length - 1),
  );
  assert.match(second.at(-1)?.toString() ?? '', /kvm_x\{vcpu="999"\} -1\n$/);
});

test('a family with other labels is formatted again, whatever its values', () => {
  const written = new WrittenLines();
  const before = family([1, 2]);
  textOf(written, before);
  assert.equal(
    textOf(written, { ...before, labels: ['vcpu="8"', 'vcpu="9"'] }),
    'kvm_x{vcpu="8"} 1\nkvm_x{vcpu="9"} 2\n',
  );
});

test('removed families take no memory', () => {
  const written = new WrittenLines();
  const [one, two] = [family([1], undefined, 'kvm_a'), family([2], undefined, 'kvm_b')];
  textOf(written, one);
  const bytes = written.bytes;
  textOf(written, two);
  written.keepOnly([one]);
  assert.equal(written.bytes, bytes);
  written.keepOnly([]);
  assert.equal(written.bytes, 0);
});
