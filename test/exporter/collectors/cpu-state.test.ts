import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { type Samples, sample, series } from '../../../testing/metrics.ts';
import { assertNoneFalls } from '../../../testing/never-falls.ts';
import { qemuProcess } from '../../../testing/qemu-process.ts';

const VCPU = { vm: 'web', role: 'vcpu' };
const IOTHREAD = { vm: 'web', role: 'iothread' };

/** vCPU 0 and 1 on CPUs 2 and 3 of 8, an IOThread on CPU 4. */
function withVm(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.write('sys/devices/system/cpu/online', '0-7\n');
  const threads = [
    { tid: 11, comm: 'CPU 0/KVM', cpu: 2 },
    { tid: 12, comm: 'CPU 1/KVM', cpu: 3 },
    { tid: 13, comm: 'IO io0', cpu: 4 },
  ];
  tree.process(qemuProcess(10, 'web', { threads }));
  return tree;
}

function writeFrequency(tree: HostTree, cpu: number, khz: number, governor = 'schedutil'): void {
  const folder = `sys/devices/system/cpu/cpu${cpu}/cpufreq`;
  tree.write(`${folder}/scaling_cur_freq`, `${khz}\n`);
  tree.write(`${folder}/scaling_governor`, `${governor}\n`);
  tree.write(`${folder}/scaling_max_freq`, '2500000\n');
  tree.write(`${folder}/cpuinfo_max_freq`, '3000000\n');
}

function writeIdle(tree: HostTree, cpu: number, usec: number): void {
  tree.write(`sys/devices/system/cpu/cpu${cpu}/cpuidle/state0/name`, 'C6\n');
  tree.write(`sys/devices/system/cpu/cpu${cpu}/cpuidle/state0/time`, `${usec}\n`);
}

const success = (samples: Samples, collector: string): number =>
  sample(samples, 'kvm_telemetry_collector_success', { collector });

test('frequency, governor and limits by VM and role, of the CPUs on which the threads run', async (context) => {
  const tree = withVm(context);
  writeFrequency(tree, 2, 1_000_000);
  writeFrequency(tree, 3, 2_000_000, 'performance');
  writeFrequency(tree, 4, 2_500_000);
  writeFrequency(tree, 7, 9_000_000);
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.equal(sample(samples, 'kvm_vm_cpu_frequency_mean_hertz', VCPU), 1.5e9);
  assert.equal(sample(samples, 'kvm_vm_cpu_frequency_min_hertz', VCPU), 1e9);
  assert.equal(sample(samples, 'kvm_vm_cpu_frequency_limit_hertz', VCPU), 2.5e9);
  assert.equal(sample(samples, 'kvm_vm_cpu_frequency_maximum_hertz', VCPU), 3e9);
  assert.equal(sample(samples, 'kvm_vm_cpu_frequency_mean_hertz', IOTHREAD), 2.5e9);
  assert.equal(sample(samples, 'kvm_vm_cpu_governor_cpus', { ...VCPU, governor: 'performance' }), 1);
  assert.equal(sample(samples, 'kvm_vm_cpu_governor_cpus', { ...VCPU, governor: 'schedutil' }), 1);
  assert.equal(series(samples, 'kvm_vm_cpu_frequency_mean_hertz').length, 2);
  assert.equal(success(samples, 'cpu_state'), 1);
});

test('without cpufreq and cpuidle, as in a VM, there are no series and no failure', async (context) => {
  const { scrape } = await exporterOf(context, withVm(context));
  await scrape();
  const samples = await scrape();
  const found = [...samples.keys()].filter((key) => /^kvm_vm_cpu_(freq|gov|idle|obs)/.test(key));
  assert.deepEqual(found, []);
  assert.equal(success(samples, 'cpu_state'), 1);
});

test('a frequency that the driver does not report is unknown and not 0', async (context) => {
  const tree = withVm(context);
  writeFrequency(tree, 4, 0);
  tree.write('sys/devices/system/cpu/cpu4/cpufreq/scaling_cur_freq', '<unknown>\n');
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  assert.deepEqual(series(samples, 'kvm_vm_cpu_frequency_mean_hertz'), []);
  assert.equal(success(samples, 'cpu_state'), 1);
});

test('idle time is that of the CPUs between two scrapes, with the observed time beside it', async (context) => {
  const tree = withVm(context);
  tree.write('proc/uptime', '1000.00 0.00\n');
  for (const cpu of [2, 3]) writeIdle(tree, cpu, 60_000_000);
  const { scrape } = await exporterOf(context, tree);
  const idle = { ...VCPU, state: 'C6' };
  assert.equal(sample(await scrape(), 'kvm_vm_cpu_idle_seconds_total', idle), 0);
  tree.write('proc/uptime', '1010.00 0.00\n');
  writeIdle(tree, 2, 64_000_000);
  writeIdle(tree, 3, 61_000_000);
  const samples = await scrape();
  assert.equal(sample(samples, 'kvm_vm_cpu_idle_seconds_total', idle), 5);
  assert.equal(sample(samples, 'kvm_vm_cpu_observed_seconds_total', VCPU), 20);
  assert.deepEqual(series(samples, 'kvm_vm_cpu_idle_seconds_total', IOTHREAD), []);
});

test('interrupts on the CPUs of a VM count by kind; interrupts on other CPUs do not', async (context) => {
  const tree = withVm(context);
  const write = (device: number, timer: number): void =>
    tree.write(
      'proc/interrupts',
      '       CPU0 CPU2 CPU3 CPU4\n' +
        ` 29:   900  ${device}  0  7  PCI-MSI 16385-edge  eth0\n` +
        `LOC:   900  ${timer}  ${timer}  0  Local timer interrupts\n` +
        'ERR:   5\n',
    );
  write(100, 4_294_967_290);
  const { scrape } = await exporterOf(context, tree);
  const of = (samples: Samples, type: string): number =>
    sample(samples, 'kvm_vm_cpu_interrupts_total', { ...VCPU, type });
  assert.equal(of(await scrape(), 'device'), 0);
  write(160, 4);
  // The kernel's columns have 32 bits: after one of them wrapped, nothing is claimed.
  const wrapped = await scrape();
  assert.deepEqual([of(wrapped, 'device'), of(wrapped, 'timer')], [60, 0]);
  write(160, 9);
  assert.equal(of(await scrape(), 'timer'), 10);
});

test('a VM whose threads cannot be read for a while keeps its counters', async (context) => {
  const tree = withVm(context);
  const interrupts = (device: number): void =>
    tree.write('proc/interrupts', `       CPU0 CPU2\n 29:   0  ${device}  PCI-MSI 16385-edge  eth0\n`);
  const at = (seconds: number): void => {
    tree.write('proc/uptime', `${seconds}.00 0.00\n`);
    writeIdle(tree, 2, seconds * 500_000);
    interrupts(seconds);
  };
  at(1000);
  const { scrape } = await exporterOf(context, tree);
  await scrape();
  at(1010);
  const before = await scrape();
  const threads = join(tree.folder, 'proc/10/task');
  renameSync(threads, `${threads}.away`);
  at(1020);
  await scrape();
  renameSync(`${threads}.away`, threads);
  at(1030);
  const now = await scrape();
  assertNoneFalls(before, now, 'after the gap');
  for (const name of ['kvm_vm_cpu_observed_seconds_total', 'kvm_vm_cpu_idle_seconds_total'])
    assert.equal(series(now, name, VCPU).length, 1, name);
  assert.equal(sample(now, 'kvm_vm_cpu_observed_seconds_total', VCPU), 10);
  assert.equal(sample(now, 'kvm_vm_cpu_interrupts_total', { ...VCPU, type: 'device' }), 10);
});

test('policy and priority, isolation, uclamp and a BPF scheduler, by VM and role', async (context) => {
  const tree = withVm(context);
  tree.write('sys/devices/system/cpu/isolated', '3-4\n');
  tree.write('sys/devices/system/cpu/nohz_full', '4\n');
  tree.write('sys/kernel/sched_ext/state', 'enabled\n');
  tree.write('sys/kernel/sched_ext/root/ops', 'scx_\x1b[31m\n');
  tree.process({ pid: 77, comm: 'irqbalance' });
  const folder = 'proc/10/task/12';
  const text = (file: string): string => readFileSync(join(tree.folder, folder, file), 'latin1');
  tree.write(
    `${folder}/stat`,
    text('stat').replace(' 20 0 4 ', ' -2 0 4 ').replace(' 17 3 0 0 ', ' 17 3 1 1 '),
  );
  tree.write(
    `${folder}/sched`,
    `${text('sched')}effective uclamp.max : 256\next.enabled : 1\ncore_forceidle_sum : 2500.000000\nnuma_pages_migrated : 12\n`,
  );
  const { scrape } = await exporterOf(context, tree);
  const samples = await scrape();
  const policies = series(samples, 'kvm_vm_scheduled_threads', VCPU).map((key) => [
    /policy="(\w+)",priority="(-?\d+)"/.exec(key)?.slice(1).join(' '),
    samples.get(key),
  ]);
  assert.deepEqual(policies.sort(), [
    ['fifo 1', 1],
    ['other 0', 1],
  ]);
  assert.equal(sample(samples, 'kvm_vm_cpus', { ...VCPU, kind: 'all' }), 2);
  assert.equal(sample(samples, 'kvm_vm_cpus', { ...VCPU, kind: 'isolated' }), 1);
  assert.equal(sample(samples, 'kvm_vm_cpus', { ...IOTHREAD, kind: 'nohz_full' }), 1);
  assert.equal(sample(samples, 'kvm_vm_uclamp_max_ratio', VCPU), 0.25);
  assert.deepEqual(series(samples, 'kvm_vm_uclamp_min_ratio'), []);
  assert.equal(sample(samples, 'kvm_vm_ext_threads', VCPU), 1);
  assert.equal(sample(samples, 'kvm_vm_forced_idle_seconds_total', VCPU), 2.5);
  assert.equal(sample(samples, 'kvm_vm_numa_pages_migrated_total', { vm: 'web' }), 12);
  assert.equal(sample(samples, 'kvm_host_cpus', { kind: 'isolated' }), 2);
  assert.equal(sample(samples, 'kvm_host_irqbalance_running', {}), 1);
  assert.equal(sample(samples, 'kvm_sched_ext_info', { state: 'enabled', scheduler: 'scx_?[31m' }), 1);
  assert.equal(success(samples, 'scheduling'), 1);
});

test('files that this kernel lacks give no series; without irqbalance the answer is 0', async (context) => {
  const { scrape } = await exporterOf(context, withVm(context));
  const samples = await scrape();
  assert.deepEqual(
    [
      'kvm_vm_uclamp_max_ratio',
      'kvm_vm_ext_threads',
      'kvm_sched_ext_info',
      'kvm_vm_numa_pages_migrated_total',
    ].flatMap((name) => series(samples, name)),
    [],
  );
  assert.equal(sample(samples, 'kvm_host_irqbalance_running', {}), 0);
  assert.equal(success(samples, 'scheduling'), 1);
});

test('growing counters are read at each scrape, the others in one of ten', async (context) => {
  const tree = withVm(context);
  const path = 'proc/10/task/12/sched';
  const before = readFileSync(join(tree.folder, path), 'latin1');
  const write = (pages: number): void => tree.write(path, `${before}numa_pages_migrated : ${pages}\n`);
  const { scrape } = await exporterOf(context, tree);
  const read = async (): Promise<number> =>
    sample(await scrape(), 'kvm_vm_numa_pages_migrated_total', { vm: 'web' });
  write(5);
  assert.equal(await read(), 5);
  write(6);
  const seen: number[] = [];
  for (let i = 0; i < 9; i++) seen.push(await read());
  assert.deepEqual(seen.slice(0, 8), new Array(8).fill(5));
  assert.equal(seen.at(-1), 6);
  write(8);
  assert.equal(await read(), 8);
});
