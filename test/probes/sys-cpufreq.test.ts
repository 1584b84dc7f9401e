import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCpuFrequency, readCpuFrequencyPolicy } from '../../probes/sys-cpufreq.ts';
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

test('governor and limits of a CPU; nothing without cpufreq', (context) => {
  const { host, write } = hostTree(context);
  const folder = 'sys/devices/system/cpu/cpu0/cpufreq';
  write(`${folder}/scaling_governor`, 'powersave\n');
  write(`${folder}/scaling_max_freq`, '2000000\n');
  write(`${folder}/cpuinfo_max_freq`, '3500000\n');
  assert.deepEqual(readCpuFrequencyPolicy(host, 0), {
    governor: 'powersave',
    limit: 2e9,
    hardwareLimit: 3.5e9,
  });
  assert.equal(readCpuFrequencyPolicy(host, 1), undefined);
  write(`${folder}/scaling_governor`, 'a b\n');
  assert.throws(() => readCpuFrequencyPolicy(host, 0), { name: 'SourceError', kind: 'malformed' });
});
