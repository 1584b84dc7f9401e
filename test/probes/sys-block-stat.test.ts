import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BlockStat, parseBlockStat, readBlockStat } from '../../probes/sys-block-stat.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const TEXT = captured('sys/block/nvme0c0n1/stat');
const NVME: BlockStat = {
  reads: 19456,
  readsMerged: 0,
  sectorsRead: 155627,
  readMs: 5260,
  writes: 6482,
  writesMerged: 0,
  sectorsWritten: 51856,
  writeMs: 1845,
  inFlight: 0,
  ioMs: 7144,
  weightedIoMs: 7105,
  discards: 0,
  discardsMerged: 0,
  sectorsDiscarded: 0,
  discardMs: 0,
  flushes: 0,
  flushMs: 0,
};

test('the counters of a captured disk are read and increase', () => {
  assert.deepEqual(parseBlockStat(TEXT), NVME);
  const later = readBlockStat(capturedHost('linux-nvme-vhost', 't1'), 'nvme0c0n1');
  assert.deepEqual([later.reads, later.writes, later.ioMs], [26000, 8661, 9780]);
});

test('each column has its field', () => {
  const text = ` ${Array.from({ length: 17 }, (_, i) => i + 1).join('   ')}\n`;
  assert.deepEqual(
    Object.values(parseBlockStat(text)),
    Array.from({ length: 17 }, (_, i) => i + 1),
  );
  assert.deepEqual(Object.keys(parseBlockStat(text)), Object.keys(NVME));
});

test('older kernels have fewer fields; newer ones may have more', () => {
  const words = (count: number) => parseBlockStat(`${Array.from({ length: count }, () => '7').join(' ')}\n`);
  assert.deepEqual([words(11).weightedIoMs, words(11).discards], [7, 0]);
  assert.deepEqual([words(15).discardMs, words(15).flushes], [7, 0]);
  assert.equal(words(20).flushMs, 7);
});

test('a field count that no kernel writes is refused: a missing field is not 0', () => {
  for (const count of [0, 1, 10, 12, 13, 14, 16, 65]) {
    const text = Array.from({ length: count }, () => '7').join(' ');
    assert.throws(() => parseBlockStat(text), malformed, String(count));
  }
});

test('negative and impossible numbers are refused; numbers above 2^53 are rounded', () => {
  for (const bad of ['-19456', '9'.repeat(400), '1e3', 'x', '1.5']) {
    assert.throws(() => parseBlockStat(TEXT.replace('19456', bad)), malformed);
  }
  assert.equal(parseBlockStat(TEXT.replace('19456', '18446744073709551615')).reads, 2 ** 64);
});

test('printed values are read back unchanged', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat(), { minLength: 17, maxLength: 17 }), (values) => {
      const text = `${values.map((value) => String(value).padStart(8)).join(' ')}\n`;
      assert.deepEqual(Object.values(parseBlockStat(text)), values);
    }),
  );
});

test('the running kernel is read', (context) => {
  if (!existsSync('/sys/block/vda')) return context.skip('this machine has no vda');
  assert.ok(readBlockStat(liveHost(), 'vda').reads > 0);
});

testRobustness('parseBlockStat', parseBlockStat, [TEXT]);
