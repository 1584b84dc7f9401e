import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseNumaMaps, readNumaMaps } from '../../probes/proc-numa-maps.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const CAPTURED = captured('proc/244/numa_maps', 'linux-nvme-vhost', 't1');

test('the memory of a captured QEMU is counted by node', async () => {
  const pages = parseNumaMaps(CAPTURED);
  // Counted with awk over the file.
  assert.deepEqual(
    [...pages].sort(([a], [b]) => a - b),
    [
      [0, 28_147_712],
      [1, 117_796_864],
    ],
  );
  assert.deepEqual(await readNumaMaps(capturedHost('linux-nvme-vhost', 't1'), 244, 5000), pages);
});

test('pages count by their size', () => {
  const line = (counts: string, size: number) =>
    `7f00 default huge dirty=1 ${counts} kernelpagesize_kB=${size}\n`;
  const text = line('N0=3', 2048) + line('N0=1 N1=2', 1_048_576) + line('N1=5', 4) + line('N12=1', 64);
  assert.deepEqual(
    [...parseNumaMaps(text)],
    [
      [0, 3 * 2048 * 1024 + 2 ** 30],
      [1, 2 * 2 ** 30 + 5 * 4096],
      [12, 65_536],
    ],
  );
});

test('mappings without pages, and processes without memory, have none', () => {
  assert.equal(parseNumaMaps('').size, 0);
  assert.equal(parseNumaMaps('563e8872c000 default file=/usr/bin/qemu\n7ffc default stack\n').size, 0);
  assert.deepEqual([...parseNumaMaps('7f00 bind:0-1 anon=1 dirty=1 N1=0 kernelpagesize_kB=4\n')], [[1, 0]]);
});

test('a file name cannot imitate a count', () => {
  const line = '7f00 default file=/a\\040N0\\0759\\040N0 mapped=1 N1=1 kernelpagesize_kB=4\n';
  assert.deepEqual([...parseNumaMaps(line)], [[1, 4096]]);
});

test('counts without a page size, and a text that is cut, are refused', () => {
  assert.throws(() => parseNumaMaps('7f00 default anon=1 N0=1\n'), malformed);
  assert.throws(() => parseNumaMaps('7f00 default anon=1 N0=1 kernelpagesize_kB=\n'), malformed);
  for (let end = 1; end < 2000; end++) {
    if (CAPTURED[end - 1] !== '\n') assert.throws(() => parseNumaMaps(CAPTURED.slice(0, end)), malformed);
  }
});

test('the sum is that of the lines, in any order', () => {
  const mapping = fc.record({
    node: fc.nat(3),
    pages: fc.nat(1e9),
    kib: fc.constantFrom(4, 64, 2048, 1_048_576),
  });
  fc.assert(
    fc.property(fc.array(mapping), (mappings) => {
      const expected = new Map<number, number>();
      for (const { node, pages, kib } of mappings) {
        expected.set(node, (expected.get(node) ?? 0) + pages * kib * 1024);
      }
      const lines = mappings.map(
        ({ node, pages, kib }) => `7f00 default anon=${pages} N${node}=${pages} kernelpagesize_kB=${kib}\n`,
      );
      assert.deepEqual(parseNumaMaps(lines.join('')), expected);
      assert.deepEqual(new Map(parseNumaMaps(lines.reverse().join(''))), expected);
    }),
  );
});

test('this process has memory on some node', async (context) => {
  if (!existsSync('/proc/self/numa_maps')) return context.skip('this kernel has no CONFIG_NUMA');
  const pages = await readNumaMaps(liveHost(), process.pid, 5000);
  const sum = [...pages.values()].reduce((a, b) => a + b, 0);
  assert.ok(sum > process.memoryUsage().rss / 4, `${sum} bytes`);
});

test('an exited process is absent; a file of more than 4 MiB is too large', async (context) => {
  const { host, write } = hostTree(context);
  await assert.rejects(readNumaMaps(host, 7, 5000), { name: 'SourceError', kind: 'absent' });
  write('proc/7/numa_maps', CAPTURED.repeat(130));
  await assert.rejects(readNumaMaps(host, 7, 5000), { name: 'SourceError', kind: 'too_large' });
});

testRobustness('parseNumaMaps', parseNumaMaps, [CAPTURED]);
