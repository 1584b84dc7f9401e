import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readNohzFull } from '../../probes/sys-cpu.ts';
import { readSchedExt } from '../../probes/sys-sched-ext.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('the BPF scheduler of the host: none without sched_ext, its state, its name', (context) => {
  const { host, write } = hostTree(context);
  assert.equal(readSchedExt(host), undefined);
  write('sys/kernel/sched_ext/state', 'disabled\n');
  assert.deepEqual(readSchedExt(host), { state: 'disabled', scheduler: '' });
  write('sys/kernel/sched_ext/state', 'enabled\n');
  write('sys/kernel/sched_ext/root/ops', 'scx_lavd\n');
  assert.deepEqual(readSchedExt(host), { state: 'enabled', scheduler: 'scx_lavd' });
  write('sys/kernel/sched_ext/state', 'a b\n');
  assert.throws(() => readSchedExt(host), { name: 'SourceError', kind: 'malformed' });
});

test('CPUs without tick: the kernel prints (null) where nohz_full= was not given', (context) => {
  const { host, write } = hostTree(context);
  assert.deepEqual(readNohzFull(host), []);
  write('sys/devices/system/cpu/nohz_full', '  (null)\n');
  assert.deepEqual(readNohzFull(host), []);
  write('sys/devices/system/cpu/nohz_full', '2-3,6\n');
  assert.deepEqual(readNohzFull(host), [2, 3, 6]);
});
