import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import type { Collection, CollectorSettings } from '../../../exporter/collectors/collector.ts';
import { trace as traceCollector } from '../../../exporter/collectors/trace.ts';
import { exposition } from '../../../exporter/http/exposition.ts';
import { Inventory } from '../../../exporter/inventory/inventory.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { NO_KERNEL } from '../../../exporter/model/remote.ts';
import { NOT_TRACED, type TraceReading } from '../../../exporter/model/trace-reading.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import type { VmStatistics } from '../../../exporter/model/vm-statistics.ts';
import type { VmTrace } from '../../../exporter/model/vm-trace.ts';
import { TRACE_SET_NAMES } from '../../../exporter/trace/sets.ts';
import { Trace } from '../../../exporter/trace/trace.ts';
import { SourceError } from '../../../probes/errors.ts';
import { type HistBlock, readHist } from '../../../probes/tracefs-hist.ts';
import { capturedHost } from '../../../testing/captured.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { parseSamples, type Samples, sample, series } from '../../../testing/metrics.ts';
import { type Row, type SimulatedTracefs, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';
import { NOTHING_TRACED } from '../../../testing/vm-trace.ts';

const GOLDEN = `${ROOT}test/golden/trace.prom`;
const VM = { vm: 'vm-a' };
/** Of the captured VM: its vCPUs. */
const [VCPU0, VCPU1] = [252, 254];
/** A kernel's dev_t. */
const deviceNumber = (major: number, minor: number): number => major * 2 ** 20 + minor;
const NVME = deviceNumber(259, 0);

interface Collector {
  collect(
    reading: TraceReading,
    vms?: readonly Vm[],
  ): Promise<{ samples: Samples; text: string; problems: SourceError[] }>;
}

function collector(
  settings: Pick<CollectorSettings, 'vcpuReasons'> = { vcpuReasons: true },
  disks: Collection['disks'] = [],
  kernel: Partial<VmStatistics> = {},
): Collector {
  const collects = traceCollector();
  return {
    async collect(reading, vms = [{ key: '1:1', label: 'web' } as Vm]) {
      const families = new Families(100_000);
      const problems: SourceError[] = [];
      const collection = {
        families,
        settings,
        vms,
        disks,
        kernel: { ...NO_KERNEL, statistics: new Map([['1:1', kernel]]) },
        trace: () => reading,
        yieldIfDue: () => Promise.resolve(),
        stages: { of: () => undefined, deviceAt: () => undefined },
      } as unknown as Collection;
      await collects.collect(collection, (problem) => void problems.push(problem));
      let text = '';
      for await (const chunk of exposition(
        families.sorted(),
        new Registry(),
        Registry.PROMETHEUS_CONTENT_TYPE,
      ))
        text += chunk;
      return { samples: parseSamples(text), text, problems };
    },
  };
}

const host = capturedHost('linux-nvme-vhost', 't1');

/** Rows of a captured histogram as arrays of its keys and values. */
function rowsOf(event: string, keys: string): Row[] {
  const blocks = readHist(host, `${host.roots.tracefs}/instances/x/events/${event}/hist`);
  const block = blocks.find((each) => each.keys.join() === keys) as HistBlock;
  const width = block.keys.length + block.values.length;
  return Array.from({ length: block.rows }, (_, row) => [
    ...block.columns.slice(row * width, (row + 1) * width),
  ]);
}

/** Sums rows by some of their columns; the last is the count. */
function by(rows: readonly Row[], ...columns: readonly number[]): Row[] {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const key = columns.map((column) => row[column] ?? 0);
    sums.set(key.join(), [...key, (sums.get(key.join())?.at(-1) ?? 0) + (row.at(-1) ?? 0)]);
  }
  return [...sums.values()];
}

/**
 * The captured maps for our own triggers. If the keys differ, rows are summed. Rows that were not captured are made
 * up.
 */
function putCaptured({ show }: SimulatedTracefs): void {
  show('kvm/kvm_exit', 'common_pid,exit_reason', rowsOf('kvm/kvm_exit', 'common_pid,exit_reason'));
  const mmio = rowsOf('kvm/kvm_mmio', 'common_pid,type,gpa');
  const writes = by(
    mmio.filter((row) => row[1] === 2),
    0,
    2,
  );
  show('kvm/kvm_mmio', 'common_pid', by(mmio, 0));
  show('kvm/kvm_mmio', 'common_pid,gpa.hex', writes);
  // Of the captured host: the queues of the disk and of the network device, which ioeventfds took, and the IOAPIC.
  const inKernel = (gpa = 0): boolean => [0xfebfb, 0xfebff, 0xfec00].includes(Math.floor(gpa / 4096));
  show(
    'synthetic/@mmio',
    'pid,gpa.hex',
    writes.filter((row) => !inKernel(row[1])),
  );
  const pio = rowsOf('kvm/kvm_pio', 'common_pid,rw,port');
  show('kvm/kvm_pio', 'common_pid,rw', by(pio, 0, 1));
  show(
    'kvm/kvm_pio',
    'common_pid,port.hex',
    by(
      pio.filter((row) => row[1] === 1 && Math.floor((row[2] ?? 0) / 16) % 2 === 1),
      0,
      2,
    ),
  );
  show(
    'kvm/kvm_userspace_exit',
    'common_pid,reason',
    by(rowsOf('kvm/kvm_userspace_exit', 'common_pid,reason,errno'), 0, 1),
  );
  show(
    'kvm/kvm_msi_set_irq',
    'common_pid,address.hex,data.hex',
    rowsOf('kvm/kvm_msi_set_irq', 'common_pid,address,data'),
  );
  show('kvm/kvm_inj_virq', 'common_pid', rowsOf('kvm/kvm_inj_virq', 'common_pid'));
  show('kvm/kvm_eoi', 'common_pid', rowsOf('kvm/kvm_eoi', 'common_pid'));
  show('kvm/kvm_pv_eoi', 'common_pid', by(rowsOf('kvm/kvm_pv_eoi', 'common_pid,apicid,vector'), 0));
  const polls = rowsOf('kvm/kvm_halt_poll_ns', 'vcpu_id,grow,new').map(([vcpu, ...rest]) => [
    vcpu === 0 ? VCPU0 : VCPU1,
    ...rest,
  ]);
  show('kvm/kvm_halt_poll_ns', 'common_pid,grow', by(polls, 0, 1));
  // The sums were captured by reason only: each bucket has three quarters of its bound.
  const latencies = rowsOf('synthetic/kvm_exit_lat', 'pid,reason,lat');
  show(
    'synthetic/@exit',
    'pid,reason,lat.log2',
    latencies.map(([pid = 0, reason = 0, power = 0, hits = 0]) => [
      pid,
      reason,
      power,
      hits,
      hits * 2 ** power * 0.75,
    ]),
    { dropped: 2 },
  );
  show('block/block_rq_issue', 'common_pid,dev', [
    [VCPU1, NVME + 1, 1],
    [VCPU1, deviceNumber(8, 16), 1],
    [VCPU1, NVME, 12],
    [VCPU0, NVME, 32],
    [1, NVME, 1000],
  ]);
  show('synthetic/@block', 'pid,lat.log2', [
    [VCPU0, 17, 30, 3_000_000],
    [VCPU1, 20, 12, 9_000_000],
  ]);
  show('sched/sched_migrate_task', 'pid', [[VCPU0, 4]]);
  show('sched/sched_switch', 'prev_pid', [
    [VCPU0, 400],
    [VCPU1, 300],
  ]);
  show('synthetic/@lock', 'pid,lat.log2', [
    [VCPU0, 12, 3, 9000],
    [VCPU1, 13, 1, 6000],
    [VCPU1, 64, 1, 2 ** 64 - 2048],
  ]);
}

async function captured(context: TestContext) {
  const tracefs = simulatedTracefs(context);
  tracefs.tree.write('sys/module/kvm_amd/refcnt', '1\n');
  const inventory = new Inventory(host);
  await inventory.refresh(true);
  for (const vm of inventory.vms) inventory.observeThreads(vm);
  const clock = { seconds: 1e6 };
  const trace = new Trace(
    {
      host: tracefs.host,
      writer: tracefs.writer,
      pid: 7,
      now: () => clock.seconds * 1000,
      sinceBoot: () => clock.seconds,
      repeat: () => ({ stop: () => undefined }),
      startPerf: () => ({ end: () => undefined }),
    },
    { backend: 'tracefs', sets: TRACE_SET_NAMES, budget: 1, bpf: 'auto' },
    inventory,
  );
  await trace.start();
  clock.seconds++;
  await trace.tick();
  clock.seconds++;
  putCaptured(tracefs);
  return collector({ vcpuReasons: true }, inventory.disks).collect(trace.read(), inventory.vms);
}

test('the metrics of the captured maps equal the golden file (update: UPDATE_GOLDEN=1)', async (context) => {
  const { text, problems } = await captured(context);
  assert.deepEqual(problems, []);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, 'utf8'));
});

test('exits, kicks and steps have the numbers of the captured files', async (context) => {
  const { samples } = await captured(context);
  const events = {
    // The `Hits` of each file.
    kvm_exit: 77_853,
    kvm_mmio: 12_092,
    kvm_pv_eoi: 14_578,
    kvm_userspace_exit: 22_244,
    kvm_halt_poll_ns: 680,
    kvm_inj_virq: 18_824,
    kvm_eoi: 17_886,
    kvm_fast_mmio: 0,
    sched_switch: 700,
    contention_end: 5,
  };
  for (const [event, count] of Object.entries(events))
    assert.equal(sample(samples, 'kvm_vm_trace_events_total', { ...VM, event }), count, event);
  const reasons = {
    hlt: 5372 + 5377,
    npf: 5389 + 8181,
    interrupt: 3624 + 5871,
    io: 18_504 + 2696,
    vintr: 2588 + 2297,
    msr: 7703 + 8138,
  };
  for (const [reason, count] of Object.entries(reasons))
    assert.equal(sample(samples, 'kvm_vm_exits_by_reason_total', { ...VM, reason }), count, reason);
  assert.equal(sample(samples, 'kvm_vcpu_exits_by_reason_total', { ...VM, vcpu: '1', reason: 'hlt' }), 5372);
  const kicks = (queue: string, vcpu: string) =>
    sample(samples, 'kvm_virtqueue_kicks_total', { ...VM, queue, vcpu });
  assert.deepEqual([kicks('0', '0'), kicks('1', '1')], [4620, 4752]);
  assert.equal(sample(samples, 'kvm_virtqueue_info', { ...VM, queue: '0', address: '0xfebfb000' }), 1);
  // A page of the disk's queues and one of the network's, and no register that user space serves.
  assert.deepEqual(
    series(samples, 'kvm_virtqueue_info').map((key) => /address="([^"]*)"/.exec(key)?.[1]),
    ['0xfebfb000', '0xfebfb004', '0xfebff000', '0xfebff004', '0xfebff008'],
  );
  const steps = ['kick', 'inject', 'eoi', 'halt', 'other'].map((step) =>
    sample(samples, 'kvm_vm_io_path_events_total', { ...VM, step }),
  );
  // The disk's kicks and the network's, 73.
  assert.deepEqual(steps.slice(0, 4), [
    4620 + 4752 + 73,
    reasons.interrupt + reasons.vintr,
    17_886 - 14_578,
    reasons.hlt,
  ]);
  assert.equal(
    steps.reduce((sum, count) => sum + count, 0),
    77_853,
  );
});

test('interrupts, durations and requests have the numbers of the captured files', async (context) => {
  const { samples } = await captured(context);
  const msi = (vector: string, destination: string) =>
    sample(samples, 'kvm_vm_msi_interrupts_total', { ...VM, vector, destination });
  assert.deepEqual([msi('35', '0'), msi('36', '1')], [4673, 4802]);
  const halts = { ...VM, reason: 'hlt' };
  // Of 10,576 in kvm_exit_lat five are negative.
  assert.equal(sample(samples, 'kvm_vm_exit_duration_seconds_count', halts), 10_571);
  assert.equal(sample(samples, 'kvm_vm_block_requests_total', { ...VM, device: 'nvme0n1' }), 45);
  assert.equal(sample(samples, 'kvm_vm_block_requests_total', { ...VM, device: '8:16' }), 1);
  assert.equal(sample(samples, 'kvm_vm_block_request_duration_seconds_sum', VM), 0.012);
  assert.equal(
    sample(samples, 'kvm_vm_lock_contention_seconds_total', VM),
    15e-6,
    'negative times are left out',
  );
  assert.equal(sample(samples, 'kvm_telemetry_trace_dropped_total', { set: 'exit_duration' }), 2);
  assert.equal(sample(samples, 'kvm_telemetry_trace_map_entries', { set: 'exits' }), 33);
  assert.equal(sample(samples, 'kvm_telemetry_trace_active_ratio', { set: 'exit_duration' }), 0.5);
  assert.equal(sample(samples, 'kvm_telemetry_trace_backend_info', { backend: 'tracefs' }), 1);
});

const reading = (trace: Partial<VmTrace>, more: Partial<TraceReading> = {}): TraceReading => ({
  ...NOT_TRACED,
  backend: 'tracefs',
  of: () => ({ ...NOTHING_TRACED, ...trace }),
  ...more,
});

test('up to 16 reasons without a name have their own series, and all add up', async () => {
  const exits = Array.from({ length: 40 }, (_, i) => ({ thread: 'vcpu0', reason: 1000 + i, count: i + 1 }));
  const { collect } = collector();
  for (const _ of [1, 2]) {
    const { samples } = await collect(
      reading({ exits: [...exits, { thread: 'vcpu0', reason: undefined, count: 5 }] }),
    );
    const all = series(samples, 'kvm_vm_exits_by_reason_total');
    assert.equal(all.length, 17);
    assert.equal(sample(samples, 'kvm_vm_exits_by_reason_total', { reason: 'unknown_1015' }), 16);
    assert.equal(sample(samples, 'kvm_vm_exits_by_reason_total', { reason: 'other' }), 825 - 136);
    assert.equal(
      all.reduce((sum, key) => sum + (samples.get(key) ?? 0), 0),
      825,
    );
  }
});

test('a device is found by its major and minor, up to the largest of both', async () => {
  const disk = (name: string, major: number, minor: number) =>
    ({ name, device: { major, minor }, hidden: false, paths: [] }) as unknown as Collection['disks'][number];
  // A kernel has 12 bits of major and 20 of minor: with 16 bits of minor the second disk would be the first.
  const disks = [disk('nvme0n1', 259, 3), disk('nvme1n1', 259, 65_536 + 3), disk('sdx', 4095, 1_048_575)];
  const { samples } = await collector(undefined, disks).collect(
    reading({
      blockRequests: new Map([
        [deviceNumber(259, 3), 1],
        [deviceNumber(259, 65_536 + 3), 20],
        [deviceNumber(4095, 1_048_575), 300],
        [deviceNumber(259, 65_536), 4000],
      ]),
    }),
  );
  const requests = (device: string) => sample(samples, 'kvm_vm_block_requests_total', { device });
  assert.deepEqual(['nvme0n1', 'nvme1n1', 'sdx', '259:65536'].map(requests), [1, 20, 300, 4000]);
});

test('a device without a disk is named by its major and minor', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(4095), fc.nat(2 ** 20 - 1), async (major, minor) => {
      const { samples } = await collector().collect(
        reading({ blockRequests: new Map([[deviceNumber(major, minor), 7]]) }),
      );
      assert.equal(sample(samples, 'kvm_vm_block_requests_total', { device: `${major}:${minor}` }), 7);
    }),
    { numRuns: 50 },
  );
});

test('up to 64 pairs of vector and destination have their own series', async () => {
  const msi = Array.from({ length: 200 }, (_, i) => ({ vector: i, destination: 0, count: 1 }));
  const { samples } = await collector().collect(
    reading({ msi: [...msi, { vector: 0, destination: 0, count: 7 }] }),
  );
  assert.equal(series(samples, 'kvm_vm_msi_interrupts_total').length, 65);
  assert.equal(sample(samples, 'kvm_vm_msi_interrupts_total', { vector: '0', destination: '0' }), 8);
  assert.equal(
    sample(samples, 'kvm_vm_msi_interrupts_total', { vector: 'other', destination: 'other' }),
    136,
  );
});

test('queues beyond 64 share an index, and threads other than vCPUs share a label', async () => {
  const kicks = Array.from({ length: 70 }, (_, i) => ({
    event: 'kvm_mmio' as const,
    thread: 'vcpu3',
    address: 0x1000 + 4 * i,
    count: 1,
  }));
  const { samples } = await collector().collect(
    reading({ kicks: [...kicks, { event: 'kvm_mmio', thread: 'emulator', address: 0x1000, count: 9 }] }),
  );
  assert.equal(series(samples, 'kvm_virtqueue_info').length, 64);
  assert.equal(sample(samples, 'kvm_virtqueue_kicks_total', { queue: 'other', vcpu: '3' }), 6);
  assert.equal(sample(samples, 'kvm_virtqueue_kicks_total', { queue: '0', vcpu: 'other' }), 9);
});

test('sums over maps that are read one after the other never fall', async () => {
  const { collect } = collector();
  const exits = (count: number) => [
    { thread: 'vcpu0', reason: 12, count: 1 },
    { thread: 'vcpu0', reason: 49, count },
  ];
  const other = async (trace: Partial<VmTrace>) => {
    const { samples } = await collect(reading({ ...trace, eois: 0 }));
    return sample(samples, 'kvm_vm_io_path_events_total', { step: 'other' });
  };
  assert.equal(await other({ exits: exits(100), kickTotal: 10 }), 90);
  assert.equal(await other({ exits: exits(100), kickTotal: 12 }), 90);
  assert.equal(await other({ exits: exits(110), kickTotal: 12 }), 98);
});

test('the steps of a set that was disabled restart from its new counts', async () => {
  const { collect } = collector();
  const halts = async (count: number | undefined) => {
    const exits = count === undefined ? undefined : [{ thread: 'vcpu0', reason: 12, count }];
    const { samples } = await collect(reading({ exits }));
    return series(samples, 'kvm_vm_io_path_events_total', { step: 'halt' }).map((key) => samples.get(key));
  };
  assert.deepEqual(
    [await halts(100), await halts(undefined), await halts(3), await halts(5)],
    [[100], [], [3], [5]],
  );
});

test('exits by vCPU need trace.vcpuReasons', async () => {
  const trace = reading({ exits: [{ thread: 'vcpu0', reason: 12, count: 1 }] });
  assert.equal(
    series((await collector({ vcpuReasons: false }).collect(trace)).samples, 'kvm_vcpu_exits_by_reason_total')
      .length,
    0,
  );
  assert.equal(
    series((await collector().collect(trace)).samples, 'kvm_vcpu_exits_by_reason_total').length,
    1,
  );
});

test('reasons that are not on the I/O path share one histogram', async () => {
  const one = (count: number) => [{ exponent: 10, count, sumNs: count * 1000 }];
  const exitDurations = new Map([
    [12, one(1)],
    [10, one(2)],
    [999, one(4)],
  ]);
  const { samples } = await collector().collect(reading({ exitDurations }));
  assert.equal(sample(samples, 'kvm_vm_exit_duration_seconds_count', { reason: 'HLT' }), 1);
  assert.equal(sample(samples, 'kvm_vm_exit_duration_seconds_count', { reason: 'other' }), 6);
  assert.equal(series(samples, 'kvm_vm_exit_duration_seconds_count').length, 2);
});

test('without a backend there are no series, and the problems are reported', async () => {
  const problem = new SourceError('denied', '/sys/kernel/tracing', 'EPERM');
  const { text, problems } = await collector().collect({ ...NOT_TRACED, problems: [problem] });
  assert.equal(text, '');
  assert.deepEqual(problems, [problem]);
});

test('queues that were never notified are known from the kernel, also without trace events', async () => {
  const notifyAddresses = [
    { address: 0xfe00_3000, isPort: false, queues: 1 },
    { address: 0xfe00_3004, isPort: false, queues: 1 },
    { address: 0xc010, isPort: true, queues: 4 },
  ];
  const { samples } = await collector({ vcpuReasons: true }, [], { notifyAddresses }).collect(NOT_TRACED);
  assert.deepEqual(
    series(samples, 'kvm_virtqueue_info').map((key) => /address="([^"]*)"/.exec(key)?.[1]),
    ['0xfe003000', '0xfe003004'],
  );
  assert.deepEqual(series(samples, 'kvm_virtqueue_kicks_total'), []);
});

test('doctor receives the limits of the backend', async () => {
  const collects = traceCollector();
  const families = new Families(10);
  const collection = {
    families,
    vms: [],
    disks: [],
    kernel: NO_KERNEL,
    trace: () => ({ ...NOT_TRACED, limits: ['no queues'] }),
    stages: {},
    yieldIfDue: async () => undefined,
  };
  await collects.collect(collection as unknown as Collection, () => undefined);
  assert.deepEqual(collects.limits, ['no queues']);
});

test('the collector reports the share of a sample, and the cost of tracing', async () => {
  const set = { set: 'exits', entries: 3, dropped: 0, activeRatio: 1 };
  const sampled = {
    ...NOT_TRACED,
    backend: 'bpf' as const,
    costRatio: 0.008,
    costFactor: 1.5,
    sets: [{ ...set, sampledRatio: 0.125 }],
  };
  const { samples } = await collector().collect(sampled);
  assert.equal(sample(samples, 'kvm_telemetry_trace_sampled_ratio', { set: 'exits' }), 0.125);
  assert.equal(sample(samples, 'kvm_telemetry_trace_cost_ratio'), 0.008);
  assert.equal(sample(samples, 'kvm_telemetry_trace_cost_factor'), 1.5);
  const counted = await collector().collect({ ...NOT_TRACED, backend: 'tracefs', sets: [set] });
  assert.equal(series(counted.samples, 'kvm_telemetry_trace_sampled_ratio').length, 0);
});
