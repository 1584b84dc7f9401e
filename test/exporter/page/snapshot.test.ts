import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricName } from '../../../exporter/metrics/catalogue.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { verdictsOf } from '../../../exporter/model/technique.ts';
import { liveDetail } from '../../../exporter/page/detail.ts';
import { liveHost, liveLoads, liveVms } from '../../../exporter/page/snapshot.ts';
import { verdict } from '../../../testing/verdicts.ts';

type Line = readonly [name: string, labels: Readonly<Record<string, string>>, value: number];

/** Families as a collection would have them, without the catalogue's types. */
function familiesOf(lines: readonly Line[]): Families {
  const families = new Families(10_000);
  for (const [name, labels, value] of lines) {
    families.add(name as MetricName, labels as never, value);
  }
  return families;
}

function info(vm: string, pid = '7'): Line {
  const labels = { vm, name: vm, uuid: 'u', vmm: 'qemu', manager: '', accel: 'kvm', machine: 'q35', pid };
  return ['kvm_vm_info', labels, 1];
}

function thread(metric: string, name: string, role: string, value: number): Line {
  return [`kvm_thread_${metric}`, { vm: 'web', thread: name, role }, value];
}

test('a VM with all data', () => {
  const families = familiesOf([
    info('web'),
    ['kvm_vm_vcpus', { vm: 'web' }, 2],
    ['kvm_vm_exits_total', { vm: 'web' }, 1000],
    ['kvm_vm_exits_by_reason_total', { vm: 'web', reason: 'HLT' }, 900],
    ['kvm_vm_io_path_events_total', { vm: 'web', step: 'kick' }, 30],
    ['kvm_vm_io_path_events_total', { vm: 'web', step: 'eoi' }, 20],
    ['kvm_vm_disk_reads_completed_total', { vm: 'web', disk: 'vda' }, 5],
    ['kvm_vm_disk_reads_completed_total', { vm: 'web', disk: 'vdb' }, 6],
    ['kvm_vm_disk_writes_completed_total', { vm: 'web', disk: 'vda' }, 7],
    ['kvm_vm_block_requests_total', { vm: 'web', device: 'nvme0n1' }, 99],
    thread('run_seconds_total', 'vcpu0', 'vcpu', 1.5),
    thread('run_seconds_total', 'vcpu1', 'vcpu', 2.5),
    thread('run_seconds_total', 'iothread:io0', 'iothread', 1),
    thread('wait_seconds_total', 'vcpu0', 'vcpu', 0.25),
    ['kvm_vm_affinity_drift_threads', { vm: 'web' }, 2],
    ['kvm_thread_affinity_drift', { vm: 'web', thread: 'vcpu0', kind: 'unpinned' }, 1],
    ['kvm_thread_affinity_drift', { vm: 'web', thread: 'vcpu1', kind: 'unpinned' }, 1],
    ['kvm_thread_affinity_drift', { vm: 'web', thread: 'vcpu1', kind: 'shared_cpu' }, 0],
    ['kvm_vm_stage_info', { vm: 'web', stage: 'affinity', source: 'detected' }, 1],
    ['kvm_vm_stage_info', { vm: 'web', stage: 'pinned_queues', source: 'declared' }, 1],
    ['kvm_vm_technique_state', { vm: 'web', technique: 'affinity', state: 'in_force' }, 1],
    ['kvm_vm_technique_state', { vm: 'web', technique: 'affinity', state: 'lost' }, 0],
    ['kvm_vm_technique_state', { vm: 'web', technique: 'exitless_polling', state: 'off' }, 1],
    ['kvm_vm_technique_state', { vm: 'web', technique: 'parallel_batching', state: 'unknown' }, 1],
    ['kvm_vm_technique_since_timestamp_seconds', { vm: 'web', technique: 'affinity' }, 1000],
    ['kvm_vm_technique_evidence_ratio', { vm: 'web', technique: 'affinity', evidence: 'pinned_threads' }, 1],
    [
      'kvm_vm_technique_last_in_force_ratio',
      { vm: 'web', technique: 'affinity', evidence: 'pinned_threads' },
      0.5,
    ],
    ['kvm_vm_technique_unknown_info', { vm: 'web', technique: 'parallel_batching', reason: 'idle' }, 1],
    ['kvm_vm_phase_contradicted', { vm: 'web', technique: 'exitless_polling' }, 1],
    ['kvm_vm_phase_info', { vm: 'web', phase: 'pinned_queues v2' }, 1],
    ['kvm_vm_state_info', { vm: 'web', state: 'paused' }, 1],
    ['kvm_vm_visibility', { vm: 'web', what: 'io', reason: 'vfio_disk' }, 0],
    ['kvm_vm_visibility', { vm: 'web', what: 'kicks', reason: 'vfio_disk' }, 0],
    ['kvm_vm_visibility', { vm: 'web', what: 'exits', reason: '' }, 1],
    ['kvm_vm_source_up', { vm: 'web', source: 'qmp' }, 0],
    ['kvm_vm_block_device_info', { vm: 'web', device: 'nvme0n1', depth: '0' }, 1],
    ['kvm_vm_block_device_info', { vm: 'web', device: 'unreported', depth: '0' }, 1],
    ['kvm_block_io_now', { device: 'nvme0n1', operation: 'read' }, 1],
    ['kvm_block_io_now', { device: 'nvme0n1', operation: 'write' }, 2],
    ['kvm_block_reads_completed_total', { device: 'nvme0n1' }, 7],
    ['kvm_block_writes_completed_total', { device: 'nvme0n1' }, 10],
    ['kvm_vm_source_up', { vm: 'web', source: 'libvirt' }, 1],
  ]);
  const verdicts = verdictsOf((technique) =>
    verdict(technique, technique === 'affinity' ? {} : { unjudged: { seconds: 700, reason: 'idle' } }),
  );
  const aged = liveVms(families.sorted(), new Map([['web', verdicts]]))[0]?.techniques;
  assert.deepEqual(
    aged?.map(({ unjudged }) => unjudged),
    [undefined, { seconds: 700 }, { seconds: 700 }],
  );
  assert.deepEqual(liveVms(families.sorted()), [
    {
      vm: 'web',
      pid: '7',
      vmm: 'qemu',
      state: 'paused',
      silent: ['qmp'],
      vcpus: 2,
      exits: { total: 1000, from: 'kvm_vm_exits_total' },
      path: { kick: 30, eoi: 20 },
      io: { total: 18, from: 'kvm_vm_disk_*_completed_total' },
      devices: [{ device: 'nvme0n1', inFlight: 3, completed: 17 }],
      run: { vcpu: 4, iothread: 1 },
      ioRoles: ['iothread'],
      wait: { vcpu: 0.25 },
      hidden: [
        {
          reason: 'vfio_disk',
          whats: ['io', 'kicks'],
          text: 'requests of its disks and their duration, kicks: a disk is passed through by VFIO, or a device that may be one: measure in the guest',
        },
      ],
      throttled: {},
      drift: { threads: 2, kinds: ['unpinned'] },
      stage: 'affinity',
      inForce: 'affinity; batching, queue pinning unknown',
      stageRank: 1,
      techniques: [
        {
          technique: 'affinity',
          state: 'in_force',
          since: 1000,
          evidence: { pinned_threads: 1 },
          was: { pinned_threads: 0.5 },
          reason: undefined,
          unjudged: undefined,
          contradictsPhase: false,
        },
        {
          technique: 'exitless_polling',
          state: 'off',
          since: 0,
          evidence: {},
          was: {},
          reason: undefined,
          unjudged: undefined,
          contradictsPhase: true,
        },
        {
          technique: 'parallel_batching',
          state: 'unknown',
          since: 0,
          evidence: {},
          was: {},
          reason: 'idle',
          unjudged: undefined,
          contradictsPhase: false,
        },
      ],
      phase: 'pinned_queues v2',
    },
  ]);
});

test('a VM with little data; another source is used if there is one', () => {
  const [bare] = liveVms(familiesOf([info('bare')]).sorted());
  assert.deepEqual(bare, {
    vm: 'bare',
    pid: '7',
    vmm: 'qemu',
    state: undefined,
    silent: [],
    vcpus: 0,
    exits: undefined,
    path: undefined,
    io: undefined,
    devices: [],
    run: {},
    ioRoles: [],
    wait: {},
    hidden: [],
    throttled: {},
    drift: undefined,
    stage: undefined,
    inForce: undefined,
    stageRank: undefined,
    techniques: [],
    phase: undefined,
  });
  const [traced] = liveVms(
    familiesOf([
      info('web'),
      ['kvm_vm_exits_by_reason_total', { vm: 'web', reason: 'HLT' }, 3],
      ['kvm_vm_exits_by_reason_total', { vm: 'web', reason: 'CPUID' }, 4],
      ['kvm_vm_block_requests_total', { vm: 'web', device: 'sda' }, 5],
      ['kvm_thread_cpu_seconds_total', { vm: 'web', thread: 'vcpu0', role: 'vcpu', mode: 'guest' }, 2],
      ['kvm_thread_cpu_seconds_total', { vm: 'web', thread: 'vcpu0', role: 'vcpu', mode: 'system' }, 1],
    ]).sorted(),
  );
  assert.deepEqual(traced?.exits, { total: 7, from: 'kvm_vm_exits_by_reason_total' });
  assert.deepEqual(traced?.io, { total: 5, from: 'kvm_vm_block_requests_total' });
  assert.deepEqual(traced?.run, { vcpu: 3 });
});

test('VMs with hostile names stay separate', () => {
  const names = ['a"b', 'a\\', 'a,vm="b', '__proto__', '<img src=x onerror=alert(1)>'];
  const lines = names.flatMap((vm, i): Line[] => [info(vm), ['kvm_vm_exits_total', { vm }, i]]);
  const vms = liveVms(familiesOf(lines).sorted());
  assert.deepEqual(
    vms.map(({ vm, exits }) => [vm, exits?.total]),
    names.map((vm, i) => [vm, i]),
  );
});

test('the host: version, CPUs and their use', () => {
  const cpu = (id: string, node: string): Line => [
    'kvm_cpu_info',
    { cpu: id, package: '0', core: '1', node, siblings: '0-1', isolated: id === '1' ? 'true' : 'false' },
    1,
  ];
  const families = familiesOf([
    ['kvm_telemetry_build_info', { version: '1.2.3', revision: '', nodejs: '20', simulated: 'true' }, 1],
    ['kvm_lockdown_info', { mode: 'integrity' }, 1],
    ['kvm_module_parameter', { module: 'kvm_intel', parameter: 'ept' }, 0],
    ['kvm_module_parameter', { module: 'kvm_intel', parameter: 'enable_apicv' }, 1],
    ['kvm_telemetry_trace_backend_info', { backend: 'tracefs' }, 1],
    ['kvm_telemetry_trace_active_ratio', { set: 'exits' }, 1],
    ['kvm_telemetry_trace_active_ratio', { set: 'exit_duration' }, 0.1004],
    cpu('0', '0'),
    cpu('1', '1'),
    ['kvm_cpu_run_seconds_total', { cpu: '1' }, 12.5],
    thread('cpu', 'vcpu0', 'vcpu', 1),
    thread('cpu', 'vcpu1', 'vcpu', 1),
  ]).sorted();
  const sources = [{ source: 'qmp', usable: false, series: 0, findings: [{ why: 'x', fix: 'y' }] }];
  const facts = { name: 'host-1', kernel: '6.1.0', grafanaUrl: 'https://grafana.example.org' };
  const { cpus, ...host } = liveHost(families, sources, facts);
  assert.deepEqual(host, {
    name: 'host-1',
    kernel: '6.1.0',
    apicv: true,
    version: '1.2.3',
    simulated: true,
    lockdown: 'integrity',
    traceBackend: 'tracefs',
    timedRatio: 0.1,
    grafanaUrl: 'https://grafana.example.org',
    sources,
  });
  assert.deepEqual(
    cpus.map(({ cpu: id, node, isolated }) => [id, node, isolated]),
    [
      [0, '0', false],
      [1, '1', true],
    ],
  );
  assert.deepEqual(liveLoads(families), [
    { run: undefined, threads: 0 },
    { run: 12.5, threads: 2 },
  ]);
});

test('one VM in detail: threads, reasons, queues, and histograms with their last bucket', () => {
  const families = familiesOf([
    thread('cpu', 'vcpu0', 'vcpu', 3),
    thread('numa_node', 'vcpu0', 'vcpu', 1),
    thread('run_seconds_total', 'vcpu0', 'vcpu', 9),
    thread('run_seconds_total', 'worker', 'worker', 4),
    thread('observed_migrations_total', 'vcpu0', 'vcpu', 2),
    ['kvm_vm_exits_by_reason_total', { vm: 'web', reason: 'HLT' }, 900],
    ['kvm_vm_exits_by_reason_total', { vm: 'web-2', reason: 'HLT' }, 1],
    ['kvm_virtqueue_kicks_total', { vm: 'web', queue: '0', vcpu: '1' }, 17],
    ['kvm_virtqueue_info', { vm: 'web', queue: '0', address: '0xfe003000', device: 'vda' }, 1],
  ]);
  families.addHistogram(
    'kvm_vm_exit_duration_seconds',
    { vm: 'web', reason: 'HLT' },
    { buckets: [{ le: 0.001, count: 4 }], count: 6, sum: 0.5 },
  );
  assert.deepEqual(liveDetail(families.sorted(), 'web', 42, undefined), {
    vm: 'web',
    at: 42,
    report: undefined,
    threads: [{ thread: 'vcpu0', role: 'vcpu', cpu: 3, node: 1, run: 9, wait: undefined, migrations: 2 }],
    reasons: { HLT: 900 },
    durations: {
      HLT: {
        buckets: [
          [0.001, 4],
          [null, 6],
        ],
        sum: 0.5,
        count: 6,
      },
    },
    kicks: [{ queue: '0', vcpu: '1', count: 17 }],
    queues: [{ queue: '0', address: '0xfe003000', device: 'vda' }],
  });
});

test('a list of techniques in force is no stage', () => {
  const families = familiesOf([
    info('web'),
    ['kvm_vm_stage_info', { vm: 'web', stage: 'affinity, queue pinning', source: 'detected' }, 1],
    ['kvm_vm_technique_state', { vm: 'web', technique: 'affinity', state: 'in_force' }, 1],
  ]);
  assert.equal(liveVms(families.sorted())[0]?.stage, undefined);
});
