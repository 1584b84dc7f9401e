import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nestsTooDeep, QmpLines } from '../../probes/qmp-lines.ts';
import { cpuMs } from '../../testing/patience.ts';

function linesOf(chunks: readonly Buffer[]): string[] {
  const lines = new QmpLines();
  return chunks.flatMap((chunk) => [...lines.push(chunk)].map(String));
}

test('lines do not depend on the chunk size', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\n', '\r', '{', 'ü', '\0'), maxLength: 60 });
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 70 }), { maxLength: 10 }), (whole, cuts) => {
      const bytes = Buffer.from(whole);
      const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
      const chunks = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
      assert.deepEqual(linesOf(chunks), whole.split('\n').slice(0, -1));
    }),
  );
});

test('a megabyte received byte by byte needs linear time', async () => {
  const lines = new QmpLines();
  const byte = Buffer.from('x');
  const ms = await cpuMs(() => {
    for (let i = 0; i < 1024 * 1024; i++) for (const _ of lines.push(byte)) assert.fail('no line yet');
  });
  assert.equal(lines.pending, 1024 * 1024);
  assert.equal([...lines.push(Buffer.from('\n'))][0]?.length, 1024 * 1024);
  assert.equal(lines.pending, 0);
  assert.ok(ms < 10_000, `${ms} ms; quadratic time would be minutes`);
});

test('a line that came earlier is not overwritten by a later one', () => {
  const lines = new QmpLines();
  for (const _ of lines.push(Buffer.from('fir'))) assert.fail('no line yet');
  const [first] = [...lines.push(Buffer.from('st\n'))];
  for (const _ of lines.push(Buffer.from('second'))) assert.fail('no line yet');
  assert.equal(String(first), 'first');
});

test("only nesting beyond QEMU's own limit is refused", () => {
  const padding = ' '.repeat(100_000);
  assert.ok(nestsTooDeep(Buffer.from('['.repeat(1025) + padding)));
  assert.ok(nestsTooDeep(Buffer.from('{"a":'.repeat(1025) + padding)));
  assert.ok(!nestsTooDeep(Buffer.from(`${'['.repeat(1000)}${']'.repeat(1000)}${padding}`)));
  assert.ok(!nestsTooDeep(Buffer.from('{}[]'.repeat(100_000))), 'many brackets side by side are not deep');
  assert.ok(!nestsTooDeep(Buffer.from('['.repeat(2000))), 'short enough to parse at no cost');
});
