import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OBJECTS } from '../../../../exporter/trace/bpf/objects.ts';
import { rowsOf, tallyRows } from '../../../../exporter/trace/bpf/rows.ts';
import { SourceError } from '../../../../probes/errors.ts';

const MAPS = OBJECTS.flatMap(({ maps }) => maps);
const mapOf = (name: string) => MAPS.find((each) => each.name === name) ?? assert.fail(name);

test('a key is read as the compiler lays it out', () => {
  const keys = Buffer.alloc(24);
  keys.writeUInt32LE(7, 0);
  keys.writeBigUInt64LE(0xfee0_1000n, 8);
  keys.writeBigUInt64LE(0x4021n, 16);
  const values = Buffer.alloc(8);
  values.writeBigUInt64LE(2n ** 40n + 3n);
  const msi = mapOf('msi_counts');
  const rows = rowsOf({ rows: 1, keys, values }, msi, { keySize: 24, valueSize: 8 });
  assert.deepEqual(rows, [{ tid: 7, fields: [0, 0xfee0_1000, 0x4021], weight: 2 ** 40 + 3, more: [] }]);
  const [view] = msi.views;
  const { columns, ...shape } = tallyRows(rows, view ?? assert.fail(), false, 4);
  assert.deepEqual(shape, { rows: 1, keys: 3, values: 1, dropped: 4 });
  assert.deepEqual([...columns], [7, 0xfee0_1000, 0x4021, 2 ** 40 + 3]);
});

test('a view leaves out rows that its tally does not count', () => {
  const [all, writes] = mapOf('pio_counts').views;
  const rows = [
    { tid: 1, fields: [0, 0], weight: 9, more: [] },
    { tid: 1, fields: [1, 0xc050], weight: 4, more: [] },
  ];
  assert.deepEqual([...tallyRows(rows, writes ?? assert.fail(), false, 0).columns], [1, 0xc050, 4]);
  assert.equal(tallyRows(rows, all ?? assert.fail(), false, 0).rows, 2);
});

test('property: a map of another layout is malformed, and any content gives rows', () => {
  const bytes = fc.uint8Array({ minLength: 0, maxLength: 200 });
  fc.assert(
    fc.property(
      fc.constantFrom(...MAPS),
      fc.nat(40),
      fc.nat(40),
      bytes,
      (map, keySize, valueSize, content) => {
        const keys = Buffer.concat([Buffer.from(content), Buffer.alloc(40)]);
        try {
          const rows = rowsOf({ rows: 1, keys, values: keys }, map, { keySize, valueSize });
          assert.equal(rows[0]?.fields.length, map.fields.length);
          assert.ok((rows[0]?.weight ?? -1) >= 0);
        } catch (error) {
          assert.ok(error instanceof SourceError && error.kind === 'malformed');
        }
      },
    ),
  );
});
