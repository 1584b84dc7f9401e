import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCpuFrequency } from '../../probes/sys-cpufreq.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('the frequency of a CPU; none from a driver that does not know it, and without cpufreq', (context) => {
  const { host, write } = hostTree(context);
  const file = (cpu: number): string => `sys/devices/system/cpu/cpu${cpu}/cpufreq/scaling_cur_freq`;
  write(file(0), '2400000\n');
  write(file(1), '<unknown>\n');
  write(file(2), '0\n');
  assert.deepEqual(
    [0, 1, 2].map((cpu) => readCpuFrequency(host, cpu)),
    [2.4e9, undefined, undefined],
  );
  assert.throws(() => readCpuFrequency(host, 3), { name: 'SourceError', kind: 'absent' });
});
