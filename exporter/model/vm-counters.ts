import { addTo } from '../../kernel/maps.ts';
import { NSEC_PER_SEC, NSEC_PER_TICK } from '../../kernel/units.ts';
import type { BlockStat } from '../../probes/sys-block-stat.ts';
import { SIGHTS, type Sight } from '../metrics/visibility.ts';
import { type Isa, type ReasonNames, reasonName, stepOfReason } from './io-path.ts';
import { IO_ROLES, TRACKED_ROLES } from './roles.ts';
import { hiderOf, type Visibility } from './visibility.ts';
import type { ThreadObservation, Vm } from './vm.ts';
import { isDuration, stepsOf, type VmTrace } from './vm-trace.ts';

/** A total, and the metric that exports it. */
export interface Total {
  readonly total: number;
  readonly from: string;
}

type ByName = Readonly<Record<string, number>>;

/** CPU time of a VM's long-lived threads. */
export interface VmCpu {
  readonly vcpus: number;
  /** Seconds by role; empty if unknown. */
  readonly run: ByName;
}

/** Counters of a VM that the daemon reads between scrapes. */
export interface VmCounters extends VmCpu {
  /** The `vm` label. */
  readonly vm: string;
  /** Another pid under the same name is another VM. */
  readonly pid: string;
  /** Milliseconds of a monotonic clock, when exits, kicks and I/Os were read. */
  readonly at: number;
  readonly exits: Total | undefined;
  /** Exits by reason, as the label `reason` names it; empty if unknown. */
  readonly reasons: ByName;
  /** Exits by step of the I/O path. */
  readonly path: ByName | undefined;
  readonly io: Total | undefined;
  readonly devices: readonly {
    readonly device: string;
    readonly inFlight: number;
    readonly completed: number;
  }[];
  readonly ioRoles: readonly string[];
  /** The hidden part of the VM's I/O, as in kvm_vm_visibility; at most one entry. */
  readonly hidden: readonly { readonly whats: readonly Sight[] }[];
  /** Not read between scrapes. */
  readonly wait: ByName;
  /** CPU seconds for which a CPU quota stopped it, by cgroup. */
  readonly throttled: ByName;
  /** Exits without halts, by the exponent of their longest duration in ns; undefined if exits are not timed. */
  readonly durations: ReadonlyMap<number, number> | undefined;
}

export interface CounterSources {
  readonly trace: VmTrace | undefined;
  /** I/Os of the VM's disks. */
  readonly ios: number | undefined;
  /** Of both. */
  readonly at: number;
  readonly isa: Isa;
  /** Names of the exit reasons. */
  readonly names: ReasonNames;
  readonly cpu: VmCpu;
  readonly visibility: Visibility;
  /** CPU seconds for which a CPU quota stopped the VM, by cgroup. */
  readonly throttled: ByName;
  /** By device. */
  readonly blocks: ReadonlyMap<string, BlockStat>;
}

export const NO_CPU: VmCpu = { vcpus: 0, run: {} };

/** Exits, kicks and I/Os are from one moment; CPU time is from the last pass over the threads. */
export function countersOf(
  vm: Vm,
  { trace, ios, at, isa, names, cpu, throttled, blocks, visibility }: CounterSources,
): VmCounters {
  return {
    ...cpu,
    vm: vm.label,
    pid: String(vm.pid),
    at,
    exits: totalOf(
      trace?.exits?.map(({ count }) => count),
      'kvm_exit',
    ),
    reasons: reasonsOf(trace, isa, names),
    path: trace && Object.fromEntries(stepsOf(trace, isa, visibility)),
    io:
      ios === undefined ? totalOf(trace?.blockRequests?.values(), 'requests') : { total: ios, from: 'disks' },
    devices: vm.blockDevices.flatMap(({ device }) => {
      const stat = blocks.get(device);
      if (stat === undefined) return [];
      const { reads, writes, discards, inFlight } = stat;
      return [{ device, inFlight, completed: reads + writes + discards }];
    }),
    ioRoles: [...IO_ROLES],
    hidden: [{ whats: SIGHTS.filter((sight) => hiderOf(visibility, sight) !== undefined) }],
    wait: {},
    throttled,
    durations: trace && trace.exitDurations.size > 0 ? durationsOf(trace, isa) : undefined,
  };
}

/** From one pass over the threads. If the time of one thread is missing, all are unknown. */
export function cpuOf(observations: readonly ThreadObservation[]): VmCpu {
  const run = new Map<string, number>();
  let vcpus = 0;
  let isKnown = true;
  for (const { thread, task } of observations) {
    if (thread.role === 'vcpu') vcpus++;
    if (!TRACKED_ROLES.has(thread.role)) continue;
    const times = task.cpuTimes();
    if (times === undefined) isKnown = false;
    else addTo(run, thread.role, ((times.utime + times.stime) * NSEC_PER_TICK) / NSEC_PER_SEC);
  }
  return { vcpus, run: isKnown ? Object.fromEntries(run) : {} };
}

/** A reason without a name is left out. */
function reasonsOf(trace: VmTrace | undefined, isa: Isa, names: ReasonNames): ByName {
  const counts = new Map<string, number>();
  for (const { reason, count } of trace?.exits ?? []) {
    const name = reason === undefined ? 'other' : reasonName(isa, reason, names);
    if (name !== undefined) addTo(counts, name, count);
  }
  return Object.fromEntries(counts);
}

function totalOf(counts: Iterable<number> | undefined, from: string): Total | undefined {
  if (counts === undefined) return undefined;
  let total = 0;
  for (const count of counts) total += count;
  return { total, from };
}

function durationsOf({ exitDurations }: VmTrace, isa: Isa): Map<number, number> {
  const counts = new Map<number, number>();
  for (const [reason, durations] of exitDurations) {
    if (stepOfReason(isa, reason) === 'halt') continue;
    for (const duration of durations.filter(isDuration)) addTo(counts, duration.exponent, duration.count);
  }
  return counts;
}
