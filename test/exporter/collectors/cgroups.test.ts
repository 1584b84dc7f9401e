import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { type Samples, sample, series } from '../../../testing/metrics.ts';
import { qemuProcess } from '../../../testing/qemu-process.ts';

const VM = { vm: 'web' };
const SCOPE = '/machine.slice/machine-qemu\\x2d1\\x2dweb.scope';

function withVm(context: TestContext, cgroup: string): HostTree {
  const tree = hostTree(context);
  tree.process(qemuProcess(10, 'web'));
  tree.write('proc/10/cgroup', cgroup);
  return tree;
}

interface Limit {
  readonly quota?: string;
  readonly periods: number;
  readonly throttled: number;
  readonly usec: number;
}

function writeV2(tree: HostTree, path: string, { quota = 'max', periods, throttled, usec }: Limit): void {
  const folder = `sys/fs/cgroup${path}`;
  tree.write(`${folder}/cpu.max`, `${quota} 100000\n`);
  const usage = 'usage_usec 9\nuser_usec 8\nsystem_usec 1\n';
  tree.write(
    `${folder}/cpu.stat`,
    `${usage}nr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_usec ${usec}\n`,
  );
}

function throttled(samples: Samples): Record<string, number | undefined> {
  const found = series(samples, 'kvm_vm_throttled_seconds_total', VM);
  return Object.fromEntries(found.map((key) => [/group="([^"]*)"/.exec(key)?.[1] ?? '', samples.get(key)]));
}

const success = (samples: Samples, collector: string): number =>
  sample(samples, 'kvm_telemetry_collector_success', { collector });

test("libvirt's cgroups in v2: always that of the VM, its parts and ancestors only with a quota", async (context) => {
  const tree = withVm(context, `0::${SCOPE}/libvirt/emulator\n`);
  const none = { periods: 0, throttled: 0, usec: 0 };
  writeV2(tree, SCOPE, none);
  writeV2(tree, `${SCOPE}/libvirt`, none);
  writeV2(tree, `${SCOPE}/libvirt/emulator`, none);
  writeV2(tree, `${SCOPE}/libvirt/vcpu0`, { quota: '20000', periods: 50, throttled: 40, usec: 2_500_000 });
  writeV2(tree, `${SCOPE}/libvirt/iothread1`, none);
  writeV2(tree, '/machine.slice', { quota: '150000', periods: 60, throttled: 6, usec: 100_000 });
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.deepEqual(throttled(samples), { vm: 0, vcpu0: 2.5, '/machine.slice': 0.1 });
  const vcpu = { ...VM, group: 'vcpu0' };
  assert.equal(sample(samples, 'kvm_vm_throttled_periods_total', vcpu), 40);
  assert.equal(sample(samples, 'kvm_vm_quota_periods_total', vcpu), 50);
  assert.equal(sample(samples, 'kvm_vm_quota_seconds', vcpu), 0.02);
  assert.equal(sample(samples, 'kvm_vm_quota_period_seconds', vcpu), 0.1);
  assert.equal(series(samples, 'kvm_vm_quota_seconds').length, 2);
  assert.equal(success(samples, 'cpu_quota'), 1);
});

test('a quota that is set or removed later is seen, and its counters stay', async (context) => {
  const tree = withVm(context, '0::/qemu.slice/100.scope\n');
  writeV2(tree, '/qemu.slice', { periods: 0, throttled: 0, usec: 0 });
  writeV2(tree, '/qemu.slice/100.scope', { periods: 0, throttled: 0, usec: 0 });
  const { scrape } = await exporterOf(context, tree);
  assert.deepEqual(throttled(await scrape()), { vm: 0 });
  writeV2(tree, '/qemu.slice', { quota: '10000', periods: 5, throttled: 5, usec: 70 });
  const later = async (): Promise<Samples> => {
    for (let i = 0; i < 9; i++) await scrape();
    return scrape();
  };
  assert.deepEqual(throttled(await later()), { vm: 0, '/qemu.slice': 0.00007 });
  writeV2(tree, '/qemu.slice', { periods: 5, throttled: 5, usec: 80 });
  const removed = await later();
  assert.deepEqual(throttled(removed), { vm: 0, '/qemu.slice': 0.00008 });
  assert.deepEqual(series(removed, 'kvm_vm_quota_seconds'), []);
});

test('no counter falls when the cgroup is created again; each continues separately', async (context) => {
  const tree = withVm(context, '0::/a.scope\n');
  writeV2(tree, '/a.scope', { quota: '1000', periods: 9, throttled: 8, usec: 4_000_000 });
  const { scrape } = await exporterOf(context, tree);
  assert.deepEqual(throttled(await scrape()), { vm: 4 });
  writeV2(tree, '/a.scope', { quota: '1000', periods: 1, throttled: 1, usec: 1_000_000 });
  assert.deepEqual(throttled(await scrape()), { vm: 4 });
  writeV2(tree, '/a.scope', { quota: '1000', periods: 2, throttled: 2, usec: 2_000_000 });
  const samples = await scrape();
  assert.deepEqual(throttled(samples), { vm: 5 });
  assert.equal(sample(samples, 'kvm_vm_throttled_periods_total', VM), 9);
  assert.equal(sample(samples, 'kvm_vm_quota_periods_total', VM), 10);
});

test('v1 has its own hierarchy for the quota, and pressure beside it', async (context) => {
  const path = '/machine/qemu-1-web.libvirt-qemu';
  const tree = withVm(context, `3:cpuset:/\n1:cpu,cpuacct:${path}/emulator\n0::${path}\n`);
  const folder = `sys/fs/cgroup/cpu${path}`;
  for (const [name, quota, time] of [
    ['', '-1', 0],
    ['/emulator', '-1', 0],
    ['/vcpu0', '20000', 1_500_000_000],
  ] as const) {
    tree.write(`${folder}${name}/cpu.cfs_quota_us`, `${quota}\n`);
    tree.write(`${folder}${name}/cpu.cfs_period_us`, '100000\n');
    tree.write(`${folder}${name}/cpu.stat`, `nr_periods 9\nnr_throttled 8\nthrottled_time ${time}\n`);
  }
  const unified = `sys/fs/cgroup/unified${path}`;
  tree.write(`${unified}/cpu.pressure`, 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n');
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.deepEqual(throttled(samples), { vm: 0, vcpu0: 1.5 });
  const pressure = { ...VM, resource: 'cpu', kind: 'some' };
  assert.equal(sample(samples, 'kvm_vm_pressure_seconds_total', pressure), 1.5);
});

test('pressure that cannot be read is reported each time; a file that appears is found within ten scrapes', async (context) => {
  const tree = withVm(context, '0::/a.scope\n');
  writeV2(tree, '/a.scope', { periods: 0, throttled: 0, usec: 0 });
  const file = 'sys/fs/cgroup/a.scope/cpu.pressure';
  const { scrape } = await exporterOf(context, tree);
  for (let i = 0; i < 3; i++) assert.equal(success(await scrape(), 'pressure'), 1);
  tree.write(file, 'nonsense\n');
  const results: number[] = [];
  for (let i = 0; i < 20; i++) results.push(success(await scrape(), 'pressure'));
  assert.deepEqual(results.slice(results.indexOf(0)).includes(1), false);
  assert.ok(results.indexOf(0) >= 0 && results.indexOf(0) < 10);
  tree.write(file, 'some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n');
  const pressure = { ...VM, resource: 'cpu', kind: 'some' };
  assert.equal(sample(await scrape(), 'kvm_vm_pressure_seconds_total', pressure), 2.5);
});

test("Kata's vCPUs are in the pod's cgroup, whose quota is the VM's; the rest of its VMM is in another", async (context) => {
  const tree = hostTree(context);
  tree.process({
    ...qemuProcess(10, 'web', { threads: [{ tid: 11, comm: 'CPU 0/KVM' }] }),
    fds: { 10: 'anon_inode:kvm-vm' },
  });
  const pod = '/kubepods/pod1/kata_1';
  tree.write('proc/10/cgroup', `5:cpu,cpuacct:/kata_overhead${pod}\n`);
  tree.write('proc/10/task/11/cgroup', `5:cpu,cpuacct:${pod}\n`);
  // KVM's debugfs names the thread of the vCPU.
  tree.write('sys/kernel/debug/kvm/10-10/vcpu0/pid', '11\n');
  const folder = `sys/fs/cgroup/cpu${pod}`;
  tree.write(`${folder}/cpu.cfs_quota_us`, '200000\n');
  tree.write(`${folder}/cpu.cfs_period_us`, '100000\n');
  tree.write(`${folder}/cpu.stat`, 'nr_periods 10\nnr_throttled 4\nthrottled_time 1500000000\n');
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.deepEqual(throttled(samples), { vm: 1.5 });
  assert.equal(sample(samples, 'kvm_vm_quota_seconds', { ...VM, group: 'vm' }), 0.2);
});

test('counters of a cgroup of several VMs have its path, and its pressure belongs to no VM', async (context) => {
  const tree = withVm(context, '0::/user.slice\n');
  for (const [pid, name] of [
    [20, 'db'],
    [30, 'mail'],
  ] as const) {
    tree.process(qemuProcess(pid, name));
    tree.write(`proc/${pid}/cgroup`, '0::/user.slice\n');
  }
  writeV2(tree, '/user.slice', { quota: '1000', periods: 9, throttled: 8, usec: 4_000_000 });
  tree.write('sys/fs/cgroup/user.slice/io.pressure', 'full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n');
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  for (const vm of ['web', 'db', 'mail']) {
    const labels = { vm, group: '/user.slice' };
    assert.equal(sample(samples, 'kvm_vm_throttled_seconds_total', labels), 4);
  }
  assert.equal(series(samples, 'kvm_vm_throttled_seconds_total').length, 3);
  assert.deepEqual(series(samples, 'kvm_vm_pressure_seconds_total'), []);
});

test('without quotas, without cgroups and in the root cgroup there are no series', async (context) => {
  for (const cgroup of ['0::/\n', '', '1:cpu:/\n']) {
    const { scrape } = await exporterOf(context, withVm(context, cgroup));
    const samples = await scrape();
    assert.deepEqual(throttled(samples), {});
    assert.equal(success(samples, 'cpu_quota'), 1);
    assert.equal(success(samples, 'pressure'), 1);
  }
});

test('a cgroup outside the namespace of the exporter is reported at each scrape', async (context) => {
  const { scrape } = await exporterOf(context, withVm(context, '0::/../machine.slice/a.scope\n'));
  for (let i = 0; i < 3; i++) {
    const samples = await scrape();
    assert.equal(success(samples, 'cpu_quota'), 0);
    assert.deepEqual(throttled(samples), {});
  }
});

test('a broken file affects only its own values', async (context) => {
  const tree = withVm(context, `0::${SCOPE}/libvirt/emulator\n`);
  writeV2(tree, SCOPE, { quota: '1000', periods: 3, throttled: 2, usec: 1_000_000 });
  writeV2(tree, `${SCOPE}/libvirt/vcpu0`, { quota: '1000', periods: 3, throttled: 2, usec: 1_000_000 });
  tree.write(`sys/fs/cgroup${SCOPE}/libvirt/vcpu0/cpu.max`, 'broken\n');
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.deepEqual(throttled(samples), { vm: 1 });
  assert.equal(success(samples, 'cpu_quota'), 0);
  tree.write(`sys/fs/cgroup${SCOPE}/libvirt/vcpu0/cpu.max`, '1000 100000\n');
  const repaired = await scrape();
  assert.deepEqual(throttled(repaired), { vm: 1, vcpu0: 1 }, 'read again at once');
  assert.equal(success(repaired, 'cpu_quota'), 1);
});

test("the host's pressure is in seconds; a kernel without it has none", async (context) => {
  const tree = hostTree(context);
  const { scrape } = await exporterOf(context, tree);
  const before = await scrape();
  assert.deepEqual(series(before, 'kvm_host_pressure_seconds_total'), []);
  assert.equal(success(before, 'pressure'), 1);
  tree.write(
    'proc/pressure/io',
    'some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n',
  );
  tree.write('proc/pressure/irq', 'full avg10=0.00 avg60=0.00 avg300=0.00 total=3000000\n');
  const samples = await scrape();
  const of = (resource: string, kind: string): number =>
    sample(samples, 'kvm_host_pressure_seconds_total', { resource, kind });
  assert.deepEqual([of('io', 'some'), of('io', 'full'), of('irq', 'full')], [2, 1, 3]);
  assert.equal(series(samples, 'kvm_host_pressure_seconds_total').length, 3);
});

test('throttled seconds are those of the kernel to the last digit', async (context) => {
  const tree = withVm(context, `0::${SCOPE}\n`);
  const { scrape } = await exporterOf(context, tree);
  // 0.2 + (0.9 - 0.2) is not 0.9 in floating point.
  for (const usec of [200_000, 900_000]) {
    writeV2(tree, SCOPE, { periods: 9, throttled: 9, usec });
    assert.equal(throttled(await scrape())['vm'], usec / 1e6);
  }
});

test("the exporter's own throttling appears with a quota of its cgroup and stays afterwards; without one it is missing", async (context) => {
  const tree = withVm(context, `0::${SCOPE}\n`);
  const path = '/system.slice/kvm-telemetry.service';
  tree.write('proc/self/cgroup', `0::${path}\n`);
  const counts = { periods: 50, throttled: 40, usec: 2_500_000 };
  writeV2(tree, path, counts);
  const { scrape } = await exporterOf(context, tree);
  const own = async (): Promise<number[]> => {
    const samples = await scrape();
    const keys = series(samples, 'kvm_telemetry_throttled_seconds_total');
    return keys.map((key) => samples.get(key) ?? Number.NaN);
  };
  assert.deepEqual(await own(), []);
  writeV2(tree, path, { ...counts, quota: '20000' });
  assert.deepEqual(await own(), [2.5]);
  writeV2(tree, path, { ...counts, usec: 3_500_000 });
  assert.deepEqual(await own(), [3.5]);
});

test("the exporter's own memory limits: v2 counts both, v1 one, and none is there without a limit", async (context) => {
  const tree = withVm(context, `0::${SCOPE}\n`);
  const path = '/system.slice/kvm-telemetry.service';
  tree.write('proc/self/cgroup', `0::${path}\n`);
  const folder = `sys/fs/cgroup${path}`;
  const write = (high: number, limit: string): void => {
    tree.write(
      `${folder}/memory.events`,
      `low 0\nhigh ${high}\nmax 3\noom 0\noom_kill 0\noom_group_kill 0\n`,
    );
    tree.write(`${folder}/memory.high`, `${limit}\n`);
    tree.write(`${folder}/memory.max`, `${limit}\n`);
  };
  write(12, 'max');
  const { scrape } = await exporterOf(context, tree);
  const own = async (): Promise<Record<string, number | undefined>> => {
    const samples = await scrape();
    const keys = series(samples, 'kvm_telemetry_memory_limit_hits_total');
    return Object.fromEntries(keys.map((key) => [/limit="(.*)"/.exec(key)?.[1] ?? '', samples.get(key)]));
  };
  assert.deepEqual(await own(), {});
  write(12, '402653184');
  assert.deepEqual(await own(), { high: 12, max: 3 });
  write(13, 'max');
  assert.deepEqual(await own(), { high: 13, max: 3 }, 'what was counted stays');

  tree.write('proc/self/cgroup', '4:memory:/kt\n0::/\n');
  tree.write('sys/fs/cgroup/memory/kt/memory.failcnt', '7\n');
  tree.write('sys/fs/cgroup/memory/kt/memory.limit_in_bytes', '9223372036854771712\n');
  assert.deepEqual(await own(), { max: 3 }, 'another cgroup, whose hits so far are not credited');
  tree.write('sys/fs/cgroup/memory/kt/memory.failcnt', '9\n');
  assert.deepEqual(await own(), { max: 5 });
});
