import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sample, series } from '../../../testing/metrics.ts';
import { qemuReplies, startVmWithMonitor } from '../../../testing/vm-with-monitor.ts';

const WEB = { vm: 'web' };

test("QEMU's statistics precede those of debugfs, which has the missing ones", async (context) => {
  const { scrape } = await startVmWithMonitor(context, qemuReplies({ exits: 600 }, { pages_4k: 5 }));
  const { samples } = await scrape();
  assert.equal(sample(samples, 'kvm_vm_exits_total', WEB), 1200);
  assert.equal(sample(samples, 'kvm_vm_hypercalls_total', WEB), 70);
  assert.equal(sample(samples, 'kvm_vm_pages_4k', WEB), 5);
  for (const vcpu of ['0', '1']) assert.equal(sample(samples, 'kvm_vcpu_exits_total', { ...WEB, vcpu }), 600);
  for (const source of ['qmp', 'debugfs'])
    assert.equal(sample(samples, 'kvm_vm_source_info', { ...WEB, source }), 1);
  assert.equal(sample(samples, 'kvm_vm_source_up', { ...WEB, source: 'qmp' }), 1);
  assert.equal(sample(samples, 'kvm_vm_qemu_version_info', { ...WEB, version: '9.2.0' }), 1);
});

test('when the monitor fails debugfs takes over, and no counter falls', async (context) => {
  const { scrape, server, write } = await startVmWithMonitor(context, qemuReplies({ exits: 600 }));
  const before = (await scrape()).samples;
  await server.close();
  write('exits', 1300);
  const { samples } = await scrape();
  assert.equal(sample(samples, 'kvm_vm_source_up', { ...WEB, source: 'qmp' }), 0);
  assert.deepEqual(series(samples, 'kvm_vm_source_info', { source: 'qmp' }), []);
  assert.ok(sample(samples, 'kvm_vm_exits_total', WEB) >= sample(before, 'kvm_vm_exits_total', WEB));
  assert.deepEqual(series(samples, 'kvm_vcpu_exits_total'), [], 'nobody else knows the vCPUs');
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'qmp' }), 0);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'kvm_debugfs' }), 1);
});

test('without the collector no monitor is queried, and debugfs has all statistics', async (context) => {
  const { scrape, server } = await startVmWithMonitor(context, qemuReplies({ exits: 600 }), {
    'collector.qmp': false,
  });
  const { samples } = await scrape();
  assert.equal(sample(samples, 'kvm_vm_exits_total', WEB), 1000);
  assert.deepEqual(series(samples, 'kvm_vm_source_up'), []);
  assert.deepEqual(server.received, []);
});

test('QEMU 6, without query-stats, gives the disks, and debugfs the counters', async (context) => {
  const disk = { device: 'drive0', stats: { rd_operations: 3, rd_total_time_ns: 2e9 } };
  const old = { 'query-stats': undefined, 'query-stats-schemas': undefined, 'query-blockstats': [disk] };
  const { samples } = await (await startVmWithMonitor(context, qemuReplies({}, {}, old))).scrape();
  assert.equal(sample(samples, 'kvm_vm_exits_total', WEB), 1000);
  assert.equal(sample(samples, 'kvm_vm_disk_reads_completed_total', { ...WEB, disk: 'drive0' }), 3);
  assert.equal(sample(samples, 'kvm_vm_disk_read_time_seconds_total', { ...WEB, disk: 'drive0' }), 2);
  assert.equal(sample(samples, 'kvm_vm_source_up', { ...WEB, source: 'qmp' }), 1);
  assert.deepEqual(series(samples, 'kvm_vm_source_info', { source: 'qmp' }), []);
});

test('names of disks that collide or are hostile are unique and harmless', async (context) => {
  const names = [
    'a',
    'a',
    'a"} 1\nkvm_forged_total 7',
    '\\',
    'x'.repeat(10_000),
    `${'x'.repeat(9999)}y`,
    '\u0000',
    '{}',
    ' ',
  ];
  const disks = names.map((device) => ({
    device,
    'node-name': device,
    qdev: '',
    stats: { rd_operations: 1 },
  }));
  const { samples, text } = await (
    await startVmWithMonitor(context, qemuReplies({}, {}, { 'query-blockstats': disks }))
  ).scrape();
  // Names over 4096 bytes are not taken at all: those two disks have nothing to be called by.
  assert.equal(series(samples, 'kvm_vm_disk_reads_completed_total', WEB).length, names.length - 2);
  assert.doesNotMatch(text, /^kvm_forged/m);
  assert.ok(text.split('\n').every((line) => line.length < 1000));
});

test('by default a vCPU has essential statistics, all on request; the VM always has all', async (context) => {
  const vcpu = { exits: 1, tlb_flush: 2 };
  for (const [statistics, count] of [
    ['essential', 0],
    ['all', 2],
  ] as const) {
    const { scrape } = await startVmWithMonitor(context, qemuReplies(vcpu), {
      'vcpu.statistics': statistics,
    });
    const { samples } = await scrape();
    assert.equal(series(samples, 'kvm_vcpu_tlb_flush_total').length, count);
    assert.equal(series(samples, 'kvm_vcpu_exits_total').length, 2);
    assert.equal(sample(samples, 'kvm_vm_tlb_flush_total', WEB), 4);
  }
});

test('unknown statistics are bounded, and none takes the name of another metric', async (context) => {
  const flood = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`flood${i}`, i]));
  const { scrape } = await startVmWithMonitor(context, qemuReplies({ ...flood, vcpus: 9, state_info: 1 }), {
    'vcpu.statistics': 'all',
  });
  const { samples } = await scrape();
  assert.equal(sample(samples, 'kvm_vm_vcpus', WEB), 2);
  for (const prefix of ['kvm_vm_flood', 'kvm_vcpu_flood0_']) {
    const found = [...samples.keys()].filter((key) => key.startsWith(prefix));
    assert.ok(found.length > 0 && found.length <= 64, `${found.length} of ${prefix}`);
  }
});

test('halt times are real histograms, in the order of KVM and with its sum', async (context) => {
  // 3 waits of 1-2 us each, as QEMU lists them: longest first.
  const list = Array.from({ length: 32 }, (_, i) => (31 - i === 11 ? 3 : 0));
  const { scrape } = await startVmWithMonitor(
    context,
    qemuReplies({ halt_wait_hist: list, halt_wait_ns: 4500 }),
  );
  const { samples } = await scrape();
  const bucket = (le: string): number =>
    sample(samples, 'kvm_vm_halt_wait_duration_seconds_bucket', { ...WEB, le });
  assert.deepEqual([bucket('0.000001024'), bucket('0.000004096'), bucket('+Inf')], [0, 6, 6]);
  assert.equal(sample(samples, 'kvm_vm_halt_wait_duration_seconds_sum', WEB), 9e-6);
  assert.equal(sample(samples, 'kvm_vm_halt_wait_duration_seconds_count', WEB), 6);
});

test("the disk's latency histogram continues bucket by bucket, and no bucket falls when QEMU resets it", async (context) => {
  const disk = (bins: readonly number[], ms: number): object => ({
    device: 'drive0',
    stats: {
      wr_operations: 100,
      wr_total_time_ns: ms * 1e6,
      wr_latency_histogram: { boundaries: [1e6, 1e7], bins },
    },
  });
  let shown = disk([1, 2, 3], 50);
  const replies = qemuReplies({}, {}, { 'query-blockstats': () => [shown] });
  const { scrape } = await startVmWithMonitor(context, replies);
  const write = { ...WEB, disk: 'drive0', operation: 'write' };
  const counts = async (): Promise<number[]> => {
    const { samples } = await scrape();
    return ['0.001', '0.01', '+Inf'].map((le) =>
      sample(samples, 'kvm_vm_disk_duration_seconds_bucket', { ...write, le }),
    );
  };
  assert.deepEqual(await counts(), [1, 3, 6]);
  shown = disk([4, 2, 3], 60);
  assert.deepEqual(await counts(), [4, 6, 9]);
  // block-latency-histogram-set starts from zero.
  shown = disk([0, 1, 0], 61);
  assert.deepEqual(await counts(), [4, 6, 9]);
  shown = disk([1, 1, 2], 62);
  assert.deepEqual(await counts(), [5, 7, 12]);
});
