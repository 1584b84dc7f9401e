import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quotaLines, quotasOf } from '../../../exporter/doctor/quotas.ts';
import { hostTree } from '../../../testing/host-tree.ts';
import { inventoryVm } from '../../../testing/inventory-vm.ts';

const WEB = inventoryVm(10);

test('the quotas of a VM are read at the call, each with its throttling', (context) => {
  const { host, write } = hostTree(context);
  write('proc/10/cgroup', '0::/machine.slice/web.scope/libvirt/emulator\n');
  write('sys/fs/cgroup/machine.slice/web.scope/cpu.max', 'max 100000\n');
  const vcpu = 'sys/fs/cgroup/machine.slice/web.scope/libvirt/vcpu0';
  write(`${vcpu}/cpu.max`, '20000 100000\n');
  write(`${vcpu}/cpu.stat`, 'usage_usec 1\nnr_periods 53\nnr_throttled 48\nthrottled_usec 2536933\n');
  write('sys/fs/cgroup/machine.slice/cpu.max', '150000 100000\n');
  assert.deepEqual(quotaLines(quotasOf(host, WEB)), [
    'quota     vcpu0: 20 ms each 100 ms (0.2 CPUs), used up in 48 of 53 periods, 2.5 s stopped',
    'quota     /machine.slice: 150 ms each 100 ms (1.5 CPUs)',
  ]);
});

test('a VM without a quota has no line; a hidden cgroup is unknown', (context) => {
  const { host, write } = hostTree(context);
  write('proc/10/cgroup', '0::/web.scope\n');
  write('sys/fs/cgroup/web.scope/cpu.max', 'max 100000\n');
  assert.deepEqual(quotaLines(quotasOf(host, WEB)), []);
  write('proc/10/cgroup', '0::/../web.scope\n');
  assert.match(quotaLines(quotasOf(host, WEB)).join(), /^quota {5}unknown: .*cgroup namespace/);
});
