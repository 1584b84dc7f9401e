import type { SetReading, TraceReading } from '../../model/trace-reading.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmTrace } from '../../model/vm-trace.ts';

/** A VM's counts at one moment: numerator and denominator of each ratio. */
export interface Moment {
  readonly trace: VmTrace | undefined;
  /** Requests of its disks, including flushes; undefined if unknown at this moment. */
  readonly ios: number | undefined;
  /** Events that one sampled event stands for, at most; 1 if every event is counted. */
  readonly weight?: number;
  /** Seconds from one window in which events count to the next; undefined if they count all the time. */
  readonly windowEvery?: number | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly at: number;
  /** Milliseconds that may lie between the two counts. */
  readonly skewMs: number;
}

/** The sources that measure the techniques. */
const SETS = ['notifications', 'interrupts', 'block'];

export interface MomentSources {
  vms(): readonly Vm[];
  readTrace(): Promise<TraceReading>;
  /** Resolves when the VM's trace counts are up to date. */
  current(vm: Vm): Promise<void>;
  /** Requests of the disks by VM key. */
  ios(vms: readonly Vm[]): Promise<ReadonlyMap<string, number>>;
  /** Whether the VM has its own monitor, so that a query does not cost the other VMs anything. */
  hasMonitor(vm: Vm): boolean;
  now(): number;
}

/**
 * Reads kicks, interrupts and I/Os of all VMs, whether or not somebody scrapes. tracefs counts up to this moment, so all
 * VMs are queried at once. perf reports each VM at a different time, and the VM is queried at that time. I/Os
 * are read only if there are trace counts to compare them with.
 */
export async function takeMoments(sources: MomentSources): Promise<ReadonlyMap<string, Moment>> {
  const { ios, hasMonitor, now } = sources;
  const began = now();
  const reading = await sources.readTrace();
  const moments = new Map<string, Moment>();
  const measuring = reading.sets.filter(({ set }) => SETS.includes(set));
  const weight = weightOf(measuring);
  const windowEvery = windowEveryOf(measuring);
  const take = async (vms: readonly Vm[], from?: number): Promise<void> => {
    const at = now();
    const traces = new Map(vms.map((vm) => [vm.key, reading.of(vm)]));
    const counted = vms.filter(({ key }) => isCounted(traces.get(key)));
    const counts = counted.length > 0 ? await ios(counted) : new Map<string, number>();
    const skewMs = now() - (from ?? at);
    for (const [key, trace] of traces)
      moments.set(key, { trace, ios: counts.get(key), weight, windowEvery, at, skewMs });
  };
  const vms = sources.vms();
  if (reading.backend !== 'perf') {
    await take(vms, began);
    return moments;
  }
  const [own, managed] = [vms.filter(hasMonitor), vms.filter((vm) => !hasMonitor(vm))];
  await Promise.all([
    ...own.map(async (vm) => {
      await sources.current(vm);
      await take([vm]);
    }),
    // One request for all of them, within an interval of perf.
    Promise.all(managed.map((vm) => sources.current(vm))).then(() => take(managed)),
  ]);
  return moments;
}

function weightOf(sets: readonly SetReading[]): number {
  const ratios = sets.map(({ sampledRatio = 1 }) => sampledRatio);
  return 1 / Math.max(Number.MIN_VALUE, Math.min(1, ...ratios));
}

function windowEveryOf(sets: readonly SetReading[]): number | undefined {
  const all = sets.flatMap(({ windowEvery }) => windowEvery ?? []);
  return all.length === 0 ? undefined : Math.max(...all);
}

function isCounted(trace: VmTrace | undefined): boolean {
  return trace?.kickTotal !== undefined || trace?.events.has('kvm_msi_set_irq') === true;
}
