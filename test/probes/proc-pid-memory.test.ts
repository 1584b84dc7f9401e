import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProcessMemory, readProcessMemory } from '../../probes/proc-pid-memory.ts';
import { parseTransparentHugePages, readTransparentHugePages } from '../../probes/proc-smaps-rollup.ts';
import { parseMovedPages, readMovedPages } from '../../probes/proc-vmstat.ts';
import { captured, liveHost } from '../../testing/captured.ts';
import { testRobustness } from './robustness.ts';

const STATUS = captured('proc/244/status');
/** Linux 6.18, of a process with 1 GiB in transparent huge pages. */
const ROLLUP =
  '5563db58b000-7ffcb0f15000 ---p 00000000 00:00 0                          [rollup]\n' +
  'Rss:             1050216 kB\nPss:             1048790 kB\nAnonHugePages:   1048576 kB\n' +
  'ShmemPmdMapped:     2048 kB\nFilePmdMapped:        0 kB\nSwap:                  0 kB\n';
const VMSTAT = 'nr_free_pages 1\nnuma_pages_migrated 3\npswpin 5\npswpout 7\n';

test('the memory of a captured QEMU', () => {
  assert.deepEqual(parseProcessMemory(STATUS), {
    resident: Number(/VmRSS:\s+(\d+)/.exec(STATUS)?.[1]) * 1024,
    swapped: 0,
    hugetlb: 0,
  });
});

test('memory in swap and in hugetlbfs; a process that ends has none, and a name forges none', () => {
  const status = 'Name:\tVmSwap:\\n\nVmRSS:\t  100 kB\nVmSwap:\t   50 kB\nHugetlbPages:\t 2048 kB\n';
  assert.deepEqual(parseProcessMemory(status), { resident: 102_400, swapped: 51_200, hugetlb: 2_097_152 });
  assert.equal(parseProcessMemory('Name:\tqemu\nState:\tZ (zombie)\n'), undefined);
  assert.throws(() => parseProcessMemory('Name:\tx\nVmRSS:\t 1 kB\n'), { kind: 'malformed' });
});

test('transparent huge pages of all kinds', () => {
  assert.equal(parseTransparentHugePages(ROLLUP), (1_048_576 + 2048) * 1024);
});

test('pages that the host moved; unknown where the kernel does not count them', () => {
  assert.deepEqual(parseMovedPages(VMSTAT), { swappedIn: 5, swappedOut: 7, numaMigrated: 3 });
  assert.equal(parseMovedPages('pswpin 1\n').numaMigrated, undefined);
});

test('this process on the running kernel', async () => {
  const host = liveHost();
  const memory = readProcessMemory(host, process.pid);
  assert.ok((memory?.resident ?? 0) > 1e6);
  const huge = await readTransparentHugePages(host, process.pid, 5000);
  assert.ok(huge >= 0 && huge <= (memory?.resident ?? 0) * 2);
  assert.notEqual(readMovedPages(host).swappedIn, undefined);
});

testRobustness('parseProcessMemory', parseProcessMemory, [STATUS]);
testRobustness('parseTransparentHugePages', parseTransparentHugePages, [ROLLUP]);
testRobustness('parseMovedPages', parseMovedPages, [VMSTAT]);
