import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import type { Collection, Collector } from '../../../exporter/collectors/collector.ts';
import { libvirt, qmp } from '../../../exporter/collectors/remote.ts';
import { StatisticMetrics } from '../../../exporter/collectors/statistic-metrics.ts';
import { exposition } from '../../../exporter/http/exposition.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { CounterSets } from '../../../exporter/model/continued-counter.ts';
import { NO_KERNEL, NOTHING, type RemoteResult } from '../../../exporter/model/remote.ts';
import { vcpuTable } from '../../../exporter/model/vcpu-table.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import type { Migration, StatisticsSource, VmStatistics } from '../../../exporter/model/vm-statistics.ts';
import { SourceError } from '../../../probes/errors.ts';
import { parseSamples, type Samples, sample, series } from '../../../testing/metrics.ts';

const WEB = { key: '1:1', label: 'web' } as Vm;
const LABEL = { vm: 'web' };

function statistics(source: StatisticsSource, more: Partial<VmStatistics> = {}): VmStatistics {
  const none = new Map<never, never>();
  return {
    source,
    vm: none,
    vcpus: vcpuTable([[0, new Map([['exits', 7]])]]),
    histograms: none,
    types: none,
    disks: [],
    iothreads: [],
    state: '',
    ...more,
  };
}

const result = (found: VmStatistics | undefined, problems: readonly SourceError[] = []): RemoteResult => ({
  statistics: new Map(found === undefined ? [] : [[WEB.key, found]]),
  queried: new Set([WEB.key]),
  problems,
});

async function collect(
  collector: Collector,
  from: Partial<Pick<Collection, 'qmp' | 'libvirt' | 'vms'>>,
  version?: string,
): Promise<{ samples: Samples; problems: SourceError[] }> {
  const families = new Families(1000);
  const problems: SourceError[] = [];
  const collection = {
    families,
    settings: { allVcpuStatistics: false },
    vms: [WEB],
    written: new Map(),
    kernel: NO_KERNEL,
    qmp: Promise.resolve(NOTHING),
    libvirt: Promise.resolve(NOTHING),
    versionOf: () => version,
    ...from,
  } as unknown as Collection;
  await collector.collect(collection, (problem) => void problems.push(problem));
  let text = '';
  const chunks = exposition(families.sorted(), new Registry(), Registry.PROMETHEUS_CONTENT_TYPE);
  for await (const chunk of chunks) text += chunk;
  return { samples: parseSamples(text), problems };
}

const qmpOf = (found: VmStatistics) => ({ qmp: Promise.resolve(result(found)) });

test('a migration that libvirt reports is exported, even if the domain is too busy for statistics', async () => {
  const memory = { total: 4096, transferred: 96, remaining: 4000, dirtyRate: undefined, rate: undefined };
  const outgoing = { direction: 'outgoing', status: 'active', memory } as Migration;
  const collector = libvirt(new StatisticMetrics(), new CounterSets());
  const of = (more: Partial<RemoteResult>) => ({
    libvirt: Promise.resolve({ ...result(undefined), ...more }),
  });
  const { samples } = await collect(collector, of({ migrations: new Map([[WEB.key, outgoing]]) }));
  assert.equal(sample(samples, 'kvm_vm_migration_remaining_bytes', LABEL), 4000);
  assert.equal(
    sample(samples, 'kvm_vm_migration_info', { ...LABEL, direction: 'outgoing', status: 'active' }),
    1,
  );
  assert.equal(series(samples, 'kvm_vm_migration_sent_bytes_per_second').length, 0, 'not measured');
  assert.equal(series(samples, 'kvm_vm_state_info').length, 0);
  const arriving = await collect(collector, of({ arriving: new Set([WEB.key]) }));
  assert.equal(sample(arriving.samples, 'kvm_vm_state_info', { ...LABEL, state: 'inmigrate' }), 1);
});

test('version and state are left out if the VMM does not report them', async () => {
  const collector = qmp(new StatisticMetrics(), new CounterSets());
  const without = await collect(collector, qmpOf(statistics('qmp')));
  assert.equal(sample(without.samples, 'kvm_vm_source_up', { ...LABEL, source: 'qmp' }), 1);
  assert.deepEqual(series(without.samples, 'kvm_vm_qemu_version_info'), []);
  assert.deepEqual(series(without.samples, 'kvm_vm_state_info'), []);
  const running = statistics('qmp', { state: 'running' });
  const { samples } = await collect(collector, qmpOf(running), '9.2.0');
  assert.equal(sample(samples, 'kvm_vm_qemu_version_info', { ...LABEL, version: '9.2.0' }), 1);
  assert.equal(sample(samples, 'kvm_vm_state_info', { ...LABEL, state: 'running' }), 1);
});

test("libvirt's statistics and problems are passed on", async () => {
  const problem = new SourceError('timeout', 'virsh', 'no answer');
  const from = { libvirt: Promise.resolve(result(statistics('libvirt'), [problem])) };
  const { samples, problems } = await collect(libvirt(new StatisticMetrics(), new CounterSets()), from);
  assert.equal(sample(samples, 'kvm_vcpu_exits_total', { ...LABEL, vcpu: '0' }), 7);
  assert.equal(sample(samples, 'kvm_vm_source_info', { ...LABEL, source: 'libvirt' }), 1);
  assert.deepEqual(problems, [problem]);
});

test('a histogram has a sum only if KVM reports it', async () => {
  const histograms = new Map([['halt_wait_hist', Array.from({ length: 32 }, () => 1)]]);
  const collector = qmp(new StatisticMetrics(), new CounterSets());
  const without = await collect(collector, qmpOf(statistics('qmp', { histograms })));
  assert.equal(sample(without.samples, 'kvm_vm_halt_wait_duration_seconds_count', LABEL), 32);
  assert.deepEqual(series(without.samples, 'kvm_vm_halt_wait_duration_seconds_sum'), []);
  const vcpus = vcpuTable([[0, new Map([['halt_wait_ns', 2e9]])]]);
  const { samples } = await collect(collector, qmpOf(statistics('qmp', { histograms, vcpus })));
  assert.equal(sample(samples, 'kvm_vm_halt_wait_duration_seconds_sum', LABEL), 2);
});

test('counters of a VM that ended are forgotten: another one with its key starts again', async () => {
  const collector = qmp(new StatisticMetrics(), new CounterSets());
  const exits = (count: number) =>
    qmpOf(statistics('qmp', { vcpus: vcpuTable([[0, new Map([['exits', count]])]]) }));
  await collect(collector, exits(100));
  await collect(collector, { vms: [] });
  const { samples } = await collect(collector, exits(3));
  assert.equal(sample(samples, 'kvm_vcpu_exits_total', { ...LABEL, vcpu: '0' }), 3);
});

test('by default each vCPU has the statistics of exits, interrupts and halts, and no others', async () => {
  const names =
    'exits io_exits mmio_exits halt_exits irq_exits irq_injections irq_window_exits signal_exits hypercalls ' +
    'insn_emulation halt_attempted_poll halt_successful_poll halt_poll_success_ns halt_poll_fail_ns halt_wait_ns ' +
    'halt_wakeup preemption_other preemption_reported';
  const all = [...names.split(' '), 'tlb_flush', 'pf_fixed', 'nmi_injections'];
  const vcpus = vcpuTable([[0, new Map(all.map((name, i) => [name, i]))]]);
  const collector = qmp(new StatisticMetrics(), new CounterSets());
  const { samples } = await collect(collector, qmpOf(statistics('qmp', { vcpus })));
  const shown = [...samples.keys()].flatMap((key) => /^kvm_vcpu_(\w+?)_total\{/.exec(key)?.[1] ?? []);
  const expected = names.split(' ').map((name) => name.replace(/_ns$/, '_seconds'));
  assert.deepEqual(shown.sort(), expected.sort());
});

test('a disk whose failures, merges and discards are not counted leaves those out', async () => {
  const operation = {
    operations: 1,
    bytes: 2,
    seconds: 3,
    merged: undefined,
    failed: undefined,
    latency: undefined,
  };
  const disk = { name: 'vda', read: operation, write: operation, flush: operation, discard: undefined };
  const disks = [{ ...disk, file: '', driver: '', iothreads: undefined, queues: undefined }];
  const collector = qmp(new StatisticMetrics(), new CounterSets());
  const { samples } = await collect(collector, qmpOf(statistics('qmp', { disks })));
  const names = new Set([...samples.keys()].map((key) => /^kvm_vm_disk_\w+/.exec(key)?.[0]));
  names.delete(undefined);
  assert.deepEqual([...names].sort(), [
    'kvm_vm_disk_flush_requests_time_seconds_total',
    'kvm_vm_disk_flush_requests_total',
    'kvm_vm_disk_info',
    'kvm_vm_disk_read_bytes_total',
    'kvm_vm_disk_read_time_seconds_total',
    'kvm_vm_disk_reads_completed_total',
    'kvm_vm_disk_write_time_seconds_total',
    'kvm_vm_disk_writes_completed_total',
    'kvm_vm_disk_written_bytes_total',
  ]);
});
