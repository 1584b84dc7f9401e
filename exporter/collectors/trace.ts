import { NSEC_PER_SEC } from '../../kernel/units.ts';
import type { Disk } from '../../probes/sys-block.ts';
import type { Families } from '../metrics/families.ts';
import {
  traceBackendLabels,
  traceSetLabels,
  vcpuReasonLabels,
  virtqueueInfoLabels,
  virtqueueLabels,
  vmDeviceLabels,
  vmEventLabels,
  vmLabels,
  vmMsiLabels,
  vmReasonLabels,
  vmStepLabels,
} from '../metrics/label-sets.ts';
import { labelBlock } from '../metrics/labels.ts';
import { type Addends, CounterSet } from '../model/continued-counter.ts';
import { type Isa, type ReasonNames, reasonName, reasonsOfTheIoPath } from '../model/io-path.ts';
import { Queues } from '../model/queues.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import type { Vm } from '../model/vm.ts';
import { durationHistogram, type ExitCount, stepsOf, type VmTrace } from '../model/vm-trace.ts';
import type { Collector, CollectorSettings } from './collector.ts';

/** Per-VM limits for series of unnamed exit reasons, and of pairs of vector and destination. */
const MAX_UNKNOWN = 16;
const MAX_MSI = 64;
const OTHER = 'other';

/** State of a VM that keeps names stable and counters monotonic. */
interface Memory {
  readonly queues: Queues;
  readonly counters: CounterSet;
}

/** Value of a counter from its parts. It continues when the backend changes. */
type Continue = (name: string, parts: Addends) => number;

/** Trace events by VM. */
export function trace(): Collector {
  let memories = new Map<string, Memory>();
  let limits: readonly string[] = [];

  return {
    name: 'trace',
    get limits() {
      return limits;
    },
    async collect({ vms, families, settings, trace: read, stages, disks, yieldIfDue }, report) {
      const reading = await read();
      limits = reading.limits;
      const kept = new Map<string, Memory>();
      for (const vm of vms) {
        await yieldIfDue();
        const memory = memories.get(vm.key) ?? { queues: new Queues(), counters: new CounterSet('wavering') };
        kept.set(vm.key, memory);
        const counted = reading.of(vm);
        if (counted !== undefined) addVm(families, vm, counted, reading, memory, { disks, stages }, settings);
        // Counters that are no longer read start from zero if they reappear.
        memory.counters.forgetUnused();
      }
      memories = kept;
      addState(families, reading);
      for (const problem of reading.problems) report(problem);
    },
  };
}

function addVm(
  families: Families,
  traced: Vm,
  counted: VmTrace,
  { backend, isa, names }: TraceReading,
  memory: Memory,
  { disks, stages }: { disks: readonly Disk[]; stages: Stages },
  settings: CollectorSettings,
): void {
  const { label: vm } = traced;
  const source = backend ?? '';
  const goOn: Continue = (name, parts) => memory.counters.take(name, source, parts);
  const one = (name: string, reading: number): number => memory.counters.one(name, source, reading);
  for (const [event, count] of counted.events) {
    const labels = labelBlock(vmEventLabels, [vm, event]);
    families.add('kvm_vm_trace_events_total', labels, one(`event ${event}`, count));
  }
  for (const [step, count] of stepsOf(counted, isa)) {
    const labels = labelBlock(vmStepLabels, [vm, step]);
    families.add('kvm_vm_io_path_events_total', labels, one(`step ${step}`, count));
  }
  addExits(families, vm, counted.exits ?? [], isa, names, settings, one);
  addKicks(families, vm, counted, memory.queues, goOn);
  for (const { index, address, number, isPort } of memory.queues.known) {
    const device = stages.deviceAt(traced, number, isPort) ?? '';
    families.add('kvm_virtqueue_info', labelBlock(virtqueueInfoLabels, [vm, index, address, device]), 1);
  }
  addMsi(families, vm, counted, one);
  addDurations(families, vm, counted, isa, names);
  // Two paths of a multipath disk are one device.
  const requests = new Map<string, [string, number][]>();
  for (const [device, count] of counted.blockRequests ?? []) {
    const name = deviceName(device, disks);
    requests.set(name, [...(requests.get(name) ?? []), [String(device), count]]);
  }
  for (const [device, parts] of requests) {
    const labels = labelBlock(vmDeviceLabels, [vm, device]);
    families.add('kvm_vm_block_requests_total', labels, goOn(`requests ${device}`, parts));
  }
  if (counted.lockContentionNs !== undefined) {
    const labels = labelBlock(vmLabels, [vm]);
    const seconds = one('lock contention', counted.lockContentionNs) / NSEC_PER_SEC;
    families.add('kvm_vm_lock_contention_seconds_total', labels, seconds);
  }
}

function addExits(
  families: Families,
  vm: string,
  exits: readonly ExitCount[],
  isa: Isa,
  names: ReasonNames,
  { vcpuReasons }: CollectorSettings,
  one: (name: string, reading: number) => number,
): void {
  // Reasons are in order of first appearance, so every scrape leaves out the same ones.
  const unknown = new Set<number>();
  const nameOf = (reason: number | undefined): string => {
    if (reason === undefined) return OTHER;
    const name = reasonName(isa, reason, names);
    if (name !== undefined) return name;
    if (unknown.size < MAX_UNKNOWN) unknown.add(reason);
    return unknown.has(reason) ? `unknown_${reason}` : OTHER;
  };
  const byReason = new Map<string, number>();
  const byVcpu = new Map<string, Map<string, number>>();
  for (const { thread, reason, count } of exits) {
    const name = nameOf(reason);
    add(byReason, name, count);
    const vcpu = vcpuOf(thread);
    if (!vcpuReasons || vcpu === undefined) continue;
    const reasons = byVcpu.get(vcpu) ?? new Map<string, number>();
    byVcpu.set(vcpu, add(reasons, name, count));
  }
  for (const [reason, count] of byReason) {
    const labels = labelBlock(vmReasonLabels, [vm, reason]);
    families.add('kvm_vm_exits_by_reason_total', labels, one(`reason ${reason}`, count));
  }
  for (const [vcpu, reasons] of byVcpu) {
    for (const [reason, count] of reasons) {
      const labels = labelBlock(vcpuReasonLabels, [vm, vcpu, reason]);
      families.add('kvm_vcpu_exits_by_reason_total', labels, one(`vcpu ${vcpu} ${reason}`, count));
    }
  }
}

function addKicks(
  families: Families,
  vm: string,
  { kicks = [] }: VmTrace,
  queues: Queues,
  goOn: Continue,
): void {
  queues.observe(kicks);
  const counts = new Map<string, { queue: string; vcpu: string; parts: [string, number][] }>();
  for (const kick of kicks) {
    const queue = queues.indexOf(kick);
    const vcpu = vcpuOf(kick.thread) ?? OTHER;
    const key = `${queue} ${vcpu}`;
    const known = counts.get(key) ?? { queue, vcpu, parts: [] };
    known.parts.push([`${kick.event} ${kick.address} ${kick.thread}`, kick.count]);
    counts.set(key, known);
  }
  for (const [key, { queue, vcpu, parts }] of counts) {
    const labels = labelBlock(virtqueueLabels, [vm, queue, vcpu]);
    families.add('kvm_virtqueue_kicks_total', labels, goOn(`kicks ${key}`, parts));
  }
}

/** Pairs are in order of first appearance, so every scrape merges the same ones into the last series. */
function addMsi(
  families: Families,
  vm: string,
  { msi }: VmTrace,
  one: (name: string, reading: number) => number,
): void {
  const pairs = new Map<string, number>();
  for (const { vector, destination, count } of msi) {
    const key = `${vector} ${destination}`;
    add(pairs, pairs.has(key) || pairs.size < MAX_MSI ? key : `${OTHER} ${OTHER}`, count);
  }
  for (const [key, count] of pairs) {
    const [vector = '', destination = ''] = key.split(' ');
    const labels = labelBlock(vmMsiLabels, [vm, vector, destination]);
    families.add('kvm_vm_msi_interrupts_total', labels, one(`msi ${key}`, count));
  }
}

/** Only reasons on the I/O path have their own histograms. One per reason would create too many series. */
function addDurations(
  families: Families,
  vm: string,
  { exitDurations, blockDurations }: VmTrace,
  isa: Isa,
  names: ReasonNames,
): void {
  const byName = new Map<string, NonNullable<VmTrace['blockDurations']>[number][]>();
  const ofIoPath = reasonsOfTheIoPath(isa);
  for (const [reason, durations] of exitDurations) {
    const name = ofIoPath.includes(reason) ? (reasonName(isa, reason, names) ?? OTHER) : OTHER;
    byName.set(name, [...(byName.get(name) ?? []), ...durations]);
  }
  for (const [reason, durations] of byName) {
    const labels = labelBlock(vmReasonLabels, [vm, reason]);
    families.addHistogram('kvm_vm_exit_duration_seconds', labels, durationHistogram(durations));
  }
  if (blockDurations !== undefined) {
    const labels = labelBlock(vmLabels, [vm]);
    families.addHistogram('kvm_vm_block_request_duration_seconds', labels, durationHistogram(blockDurations));
  }
}

function addState(families: Families, { backend, sets }: TraceReading): void {
  if (backend === undefined) return;
  families.add('kvm_telemetry_trace_backend_info', labelBlock(traceBackendLabels, [backend]), 1);
  for (const { set, entries, dropped, activeRatio } of sets) {
    const labels = labelBlock(traceSetLabels, [set]);
    families.add('kvm_telemetry_trace_dropped_total', labels, dropped);
    families.add('kvm_telemetry_trace_map_entries', labels, entries);
    families.add('kvm_telemetry_trace_active_ratio', labels, activeRatio);
  }
}

function vcpuOf(thread: string | undefined): string | undefined {
  return thread === undefined ? undefined : /^vcpu(\d+)$/.exec(thread)?.[1];
}

/**
 * Decodes a kernel dev_t (include/linux/kdev_t.h). Requests of a multipath disk are traced under its hidden
 * path.
 */
function deviceName(device: number, disks: readonly Disk[]): string {
  const [major, minor] = [Math.floor(device / 2 ** 20), device % 2 ** 20];
  const disk = disks.find((each) => each.device?.major === major && each.device.minor === minor);
  const head = disk?.hidden === true ? disks.find(({ paths }) => paths.includes(disk.name)) : disk;
  return (head ?? disk)?.name ?? `${major}:${minor}`;
}

function add<K>(counts: Map<K, number>, key: K, count: number): Map<K, number> {
  return counts.set(key, (counts.get(key) ?? 0) + count);
}
