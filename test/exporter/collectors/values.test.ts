import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { exporterOf } from '../../../testing/in-process.ts';
import { type Samples, sample, series } from '../../../testing/metrics.ts';
import { qemuProcess } from '../../../testing/qemu-process.ts';

/** A disk whose every counter is another number. */
function withDisk(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.write('sys/devices/pci0/nvme/nvme0/nvme0n1/dev', '259:0\n');
  tree.link('sys/devices/pci0/nvme/nvme0/nvme0n1/device', '../../nvme0');
  tree.link('sys/block/nvme0n1', '../devices/pci0/nvme/nvme0/nvme0n1');
  const disk = 'sys/block/nvme0n1';
  tree.write(`${disk}/stat`, '1 2 3 4000 5 6 7 8000 9 10000 11000 12 13 14 15000 16 17000\n');
  tree.write(`${disk}/inflight`, '18 19\n');
  tree.write(`${disk}/queue/scheduler`, 'none [mq-deadline] kyber\n');
  tree.write(`${disk}/queue/write_cache`, 'write back\n');
  tree.write(`${disk}/queue/rotational`, '0\n');
  tree.write(`${disk}/queue/nr_requests`, '1023\n');
  tree.write(`${disk}/queue/io_poll`, '1\n');
  tree.write(`${disk}/mq/0/cpu_list`, '0\n');
  tree.write(`${disk}/mq/1/cpu_list`, '1, 3\n');
  return tree;
}

const DISK = { device: 'nvme0n1' };

test('the host has its kernel and CPU model, and unknown labels are empty', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/sys/kernel/osrelease', '6.1.0-28-amd64\n');
  const { scrape } = await exporterOf(context, tree);
  assert.equal(sample(await scrape(), 'kvm_host_info', { kernel: '6.1.0-28-amd64', cpu_model: '' }), 1);
});

test('requests in flight are counted by direction', async (context) => {
  const samples = await (await exporterOf(context, withDisk(context))).scrape();
  assert.equal(sample(samples, 'kvm_block_io_now', { ...DISK, direction: 'read' }), 18);
  assert.equal(sample(samples, 'kvm_block_io_now', { ...DISK, direction: 'write' }), 19);
});

test('the settings of a queue are exported unchanged', async (context) => {
  const samples = await (await exporterOf(context, withDisk(context))).scrape();
  const info = { ...DISK, scheduler: 'mq-deadline', write_cache: 'write back', rotational: 'false' };
  assert.equal(sample(samples, 'kvm_block_info', info), 1);
  assert.equal(sample(samples, 'kvm_block_queue_requests', DISK), 1023);
  assert.equal(sample(samples, 'kvm_block_queue_io_poll', DISK), 1);
  assert.equal(sample(samples, 'kvm_block_hardware_queues', DISK), 2);
  assert.deepEqual(
    series(samples, 'kvm_block_hardware_queue_info', DISK).map((each) =>
      /queue="(\d)",cpus="(.*)"/.exec(each)?.slice(1),
    ),
    [
      ['0', '0'],
      ['1', '1,3'],
    ],
  );
});

test('a changed scheduler is visible at one of the next ten scrapes', async (context) => {
  const tree = withDisk(context);
  const { scrape } = await exporterOf(context, tree);
  await scrape();
  tree.write('sys/block/nvme0n1/queue/scheduler', '[none] mq-deadline\n');
  let samples: Samples = new Map();
  for (let i = 0; i < 10; i++) samples = await scrape();
  assert.equal(sample(samples, 'kvm_block_info', { ...DISK, scheduler: 'none' }), 1);
});

test('a disk that is excluded by name has no series', async (context) => {
  const { scrape } = await exporterOf(context, withDisk(context), { 'block.exclude': '^nvme' });
  assert.deepEqual(series(await scrape(), 'kvm_block_reads_completed_total'), []);
});

test('each CPU has its package, core, node and siblings', async (context) => {
  const tree = hostTree(context);
  for (const cpu of [0, 1]) {
    const folder = `sys/devices/system/cpu/cpu${cpu}/topology`;
    tree.write(`${folder}/physical_package_id`, '3\n');
    tree.write(`${folder}/core_id`, '7\n');
    tree.write(`${folder}/thread_siblings_list`, '0-1\n');
  }
  tree.write('sys/devices/system/cpu/isolated', '1\n');
  tree.write('sys/devices/system/node/online', '2\n');
  tree.write('sys/devices/system/node/node2/cpulist', '0-1\n');
  const samples = await (await exporterOf(context, tree)).scrape();
  const common = { package: '3', core: '7', node: '2' };
  for (const [cpu, isolated] of [
    ['0', 'false'],
    ['1', 'true'],
  ] as const)
    assert.equal(sample(samples, 'kvm_cpu_info', { cpu, isolated, ...common }), 1);
  assert.equal(series(samples, 'kvm_cpu_info').length, 2);
});

test('module parameters are numbers or words; a table is neither', async (context) => {
  const tree = hostTree(context);
  const folder = 'sys/module/kvm/parameters';
  tree.write(`${folder}/halt_poll_ns`, '200000\n');
  tree.write(`${folder}/enable_vmware_backdoor`, 'N\n');
  tree.write(`${folder}/kind`, `${'x'.repeat(32)}\n`);
  tree.write(`${folder}/table`, `${'x'.repeat(33)}\n`);
  const samples = await (await exporterOf(context, tree)).scrape();
  const of = (parameter: string): number =>
    sample(samples, 'kvm_module_parameter', { module: 'kvm', parameter });
  assert.equal(of('halt_poll_ns'), 200_000);
  assert.equal(of('enable_vmware_backdoor'), 0);
  const word = { module: 'kvm', parameter: 'kind', value: 'x'.repeat(32) };
  assert.equal(sample(samples, 'kvm_module_parameter_info', word), 1);
  assert.equal(series(samples, 'kvm_module_parameter_info').length, 1);
});

/** A QEMU with two worker threads, which are pooled, and statistics in debugfs. */
function withVm(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.process(
    qemuProcess(10, 'web', {
      threads: [
        { tid: 11, comm: 'CPU 0/KVM' },
        { tid: 12, comm: 'worker' },
        { tid: 13, comm: 'worker' },
      ],
    }),
  );
  tree.write('sys/kernel/debug/kvm/10-9/exits', '1000\n');
  return tree;
}

const VM = { vm: 'web' };

test('the sum over pooled threads keeps the time of threads that ended', async (context) => {
  const tree = withVm(context);
  const { discover, scrape } = await exporterOf(context, tree);
  const runs = async (): Promise<number> =>
    sample(await scrape(), 'kvm_thread_run_seconds_total', { ...VM, role: 'worker' });
  assert.equal(await runs(), 2);
  tree.write('proc/10/task/12/schedstat', '4000000000 0 1\n');
  assert.equal(await runs(), 5);
  tree.remove('proc/10/task/12');
  await discover();
  assert.equal(await runs(), 5);
  tree.write('proc/10/task/13/schedstat', '3000000000 0 1\n');
  assert.equal(await runs(), 7);
});

test('guest time is exported for a vCPU, and for other threads only if there is any', async (context) => {
  const tree = withVm(context);
  const { scrape } = await exporterOf(context, tree);
  const guest = async (role: string): Promise<string[]> =>
    series(await scrape(), 'kvm_thread_cpu_seconds_total', { ...VM, role, mode: 'guest' });
  assert.equal((await guest('vcpu')).length, 1);
  assert.deepEqual(await guest('emulator'), []);
  assert.deepEqual(await guest('worker'), []);
});

test('a kernel without a counter of threads leaves out its metric only', async (context) => {
  const tree = withVm(context);
  for (const tid of [10, 11, 12, 13]) tree.remove(`proc/10/task/${tid}/sched`);
  const { scrape } = await exporterOf(context, tree);
  for (let i = 0; i < 2; i++) {
    const samples = await scrape();
    assert.deepEqual(series(samples, 'kvm_thread_migrations_total'), []);
    assert.equal(sample(samples, 'kvm_thread_run_seconds_total', { ...VM, role: 'vcpu' }), 1);
  }
});

test('threads are counted by role', async (context) => {
  const samples = await (await exporterOf(context, withVm(context))).scrape();
  assert.equal(sample(samples, 'kvm_vm_vcpus', VM), 1);
  assert.equal(sample(samples, 'kvm_vm_threads', { ...VM, role: 'vcpu' }), 1);
  assert.equal(sample(samples, 'kvm_vm_threads', { ...VM, role: 'worker' }), 2);
});

test('a statistic of a VM that ends while it is read is no failure; one that is broken is', async (context) => {
  const tree = withVm(context);
  const { scrape } = await exporterOf(context, tree);
  const success = (samples: Samples): number =>
    sample(samples, 'kvm_telemetry_collector_success', { collector: 'kvm_debugfs' });
  const before = await scrape();
  assert.equal(sample(before, 'kvm_vm_exits_total', VM), 1000);
  assert.equal(sample(before, 'kvm_vm_source_info', { ...VM, source: 'debugfs' }), 1);
  tree.write('sys/kernel/debug/kvm/10-9/exits', 'many\n');
  assert.equal(success(await scrape()), 0);
  tree.remove('sys/kernel/debug/kvm/10-9/exits');
  const gone = await scrape();
  assert.equal(success(gone), 1);
  assert.deepEqual(series(gone, 'kvm_vm_exits_total'), []);
  assert.deepEqual(series(gone, 'kvm_vm_source_info'), []);
});

test('in debugfs, a counter does not fall, a gauge may, and at most 64 unknown statistics count', async (context) => {
  const tree = withVm(context);
  tree.write('sys/kernel/debug/kvm/10-9/pages_4k', '70\n');
  for (let i = 0; i < 70; i++) tree.write(`sys/kernel/debug/kvm/10-9/unknown_${i}`, '1\n');
  const { scrape } = await exporterOf(context, tree);
  const before = await scrape();
  assert.equal(sample(before, 'kvm_telemetry_collector_success', { collector: 'kvm_debugfs' }), 1);
  assert.equal([...before.keys()].filter((key) => key.startsWith('kvm_vm_unknown_')).length, 64);
  tree.write('sys/kernel/debug/kvm/10-9/exits', '990\n');
  tree.write('sys/kernel/debug/kvm/10-9/pages_4k', '60\n');
  const after = await scrape();
  assert.equal(sample(after, 'kvm_vm_exits_total', VM), 1000);
  assert.equal(sample(after, 'kvm_vm_pages_4k', VM), 60);
});

test('the start time of a VM is that of its process', async (context) => {
  const samples = await (await exporterOf(context, withVm(context))).scrape();
  assert.equal(sample(samples, 'kvm_vm_start_time_seconds', VM), 1_700_000_000 + 10);
});

test('a CPU has its run and wait time in seconds', async (context) => {
  const tree = hostTree(context);
  tree.write('proc/schedstat', 'version 15\ntimestamp 1\ncpu1 0 0 0 0 0 0 5000000000 6000000000 7\n');
  const samples = await (await exporterOf(context, tree)).scrape();
  const of = (name: string): number => sample(samples, `kvm_cpu_${name}_total`, { cpu: '1' });
  assert.deepEqual([of('run_seconds'), of('wait_seconds'), of('timeslices')], [5, 6, 7]);
});

test('a broken interrupt table exports nothing, and the collector fails', async (context) => {
  const tree = hostTree(context);
  const table = '           CPU0       CPU1\n RES:         10         20   Rescheduling interrupts\n';
  tree.write('proc/interrupts', table);
  const { scrape } = await exporterOf(context, tree);
  const success = (samples: Samples): number =>
    sample(samples, 'kvm_telemetry_collector_success', { collector: 'interrupts' });
  const before = await scrape();
  assert.equal(success(before), 1);
  assert.equal(sample(before, 'kvm_interrupts_total', { type: 'RES' }), 30);
  tree.write('proc/interrupts', 'nonsense\n');
  const broken = await scrape();
  assert.equal(success(broken), 0);
  assert.deepEqual(series(broken, 'kvm_interrupts_total'), []);
});
