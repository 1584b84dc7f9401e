import { addTo, append, getOrInsert } from '../../kernel/maps.ts';
import { reasonName, reasonsOfTheIoPath } from '../model/io-path.ts';
import { type DurationCount, durationHistogram, type ExitCount, type VmTrace } from '../model/vm-trace.ts';
import { OTHER, type TraceSamples, vcpuOf } from './trace-samples.ts';

/** Limit per VM of series for exit reasons without a name. */
const MAX_UNKNOWN = 16;

/** Exits by reason. @param byVcpu export them for each vCPU too */
export function addExits(samples: TraceSamples, exits: readonly ExitCount[], byVcpu: boolean): void {
  const { families, vm, total } = samples;
  const nameOf = reasonNames(samples);
  const ofVm = new Map<string, number>();
  const ofVcpus = new Map<string, Map<string, number>>();
  for (const { thread, reason, count } of exits) {
    const name = nameOf(reason);
    addTo(ofVm, name, count);
    const vcpu = vcpuOf(thread);
    if (!byVcpu || vcpu === undefined) continue;
    addTo(
      getOrInsert(ofVcpus, vcpu, () => new Map<string, number>()),
      name,
      count,
    );
  }
  for (const [reason, count] of ofVm) {
    families.add('kvm_vm_exits_by_reason_total', { vm, reason }, total(`reason ${reason}`, count));
  }
  for (const [vcpu, reasons] of ofVcpus) {
    for (const [reason, count] of reasons) {
      const shown = total(`vcpu ${vcpu} ${reason}`, count);
      families.add('kvm_vcpu_exits_by_reason_total', { vm, vcpu, reason }, shown);
    }
  }
}

/** Reasons arrive in order of first appearance, so every scrape merges the same ones into `other`. */
function reasonNames({ isa, names }: TraceSamples): (reason: number | undefined) => string {
  const unknown = new Set<number>();
  return (reason) => {
    if (reason === undefined) return OTHER;
    const name = reasonName(isa, reason, names);
    if (name !== undefined) return name;
    if (unknown.size < MAX_UNKNOWN) unknown.add(reason);
    return unknown.has(reason) ? `unknown_${reason}` : OTHER;
  };
}

/** Only reasons on the I/O path have their own histograms. One per reason would create too many series. */
export function addExitDurations(
  { families, vm, isa, names }: TraceSamples,
  exitDurations: VmTrace['exitDurations'],
): void {
  const byName = new Map<string, DurationCount[]>();
  const ofIoPath = reasonsOfTheIoPath(isa);
  for (const [reason, durations] of exitDurations) {
    const name = ofIoPath.includes(reason) ? (reasonName(isa, reason, names) ?? OTHER) : OTHER;
    append(byName, name, ...durations);
  }
  for (const [reason, durations] of byName) {
    families.addHistogram('kvm_vm_exit_duration_seconds', { vm, reason }, durationHistogram(durations));
  }
}
