import { formatCpuList } from '../../kernel/cpu-list.ts';
import { isPin } from './confinement.ts';
import type { CpuHolders, Holder } from './cpu-holders.ts';
import { crossingOf } from './drift-nodes.ts';
import type { Expectation } from './expectation.ts';
import type { ObservedThread, ObservedVm } from './observed.ts';
import { type CpuMask, isWithin } from './topology-facts.ts';

export const DRIFT_KINDS = [
  'mask_widened',
  'mask_changed',
  'unpinned',
  'shared_cpu',
  'shared_core',
  'cross_node',
  'migrating',
] as const;

export type DriftKind = (typeof DRIFT_KINDS)[number];

/** One violation of a thread's expected affinity. */
export interface Drift {
  readonly kind: DriftKind;
  /** The `thread` label. */
  readonly thread: string;
  /** The `vm` label. */
  readonly vm: string;
  /** The reason for the log, with the CPUs. */
  readonly why: string;
  /** The thread with which it shares a CPU or core; undefined for other kinds. */
  readonly other?: Holder | undefined;
}

export interface DriftInput {
  readonly vm: ObservedVm;
  /** Places of all VMs, including this one, so that two VMs that claim one CPU are found. */
  readonly holders: CpuHolders;
  readonly maxMigrationsPerSecond: number;
}

/** One thread with an expected affinity. */
interface Case {
  readonly vm: ObservedVm;
  readonly thread: ObservedThread;
  readonly holders: CpuHolders;
  readonly source: Expectation['source'];
  readonly expected: CpuMask;
  readonly actual: CpuMask;
}

type Finding = Pick<Drift, 'kind' | 'why' | 'other'>;

/** The drift of one VM. A thread without an expected affinity has none. */
export function driftsOf({ vm, holders, maxMigrationsPerSecond }: DriftInput): Drift[] {
  const drifts: Drift[] = [];
  for (const thread of vm.threads) {
    if (thread.expectation === undefined) continue;
    const { cpus, source } = thread.expectation;
    const expected = holders.facts.mask(cpus);
    const actual = holders.facts.mask(thread.allowed);
    const each: Case = { vm, thread, holders, source, expected, actual };
    const add = (finding: Finding | undefined): void => {
      if (finding !== undefined) drifts.push({ ...finding, thread: thread.label, vm: vm.vm });
    };
    add(maskOf(each));
    const cpu = holders.of(thread);
    if (cpu !== undefined) {
      add(sharedCpu(each, cpu));
      add(sharedCore(each, cpu));
    }
    add(crossNode(each));
    add(migrating(each, maxMigrationsPerSecond));
  }
  return drifts;
}

/**
 * Compares the mask with the expected affinity, without offline CPUs. A mask that a cpuset or an
 * administrator narrowed keeps the thread on its expected CPUs and is not drift.
 */
function maskOf({ vm, thread, holders, source, expected, actual }: Case): Finding | undefined {
  if (expected.online.length === 0) {
    const why = `none of CPUs ${expected.text} is online (${source})`;
    return { kind: 'mask_changed', why };
  }
  if (thread.allowedList === expected.text) return undefined;
  if (actual.online.length > 0 && isWithin(actual.online, expected.online)) return undefined;
  const why = `on CPUs ${actual.text} instead of ${expected.text} (${source})`;
  if (isPin(actual, vm, holders.facts) === false) return { kind: 'unpinned', why };
  return { kind: isWithin(expected.online, actual.online) ? 'mask_widened' : 'mask_changed', why };
}

function sharedCpu({ vm, thread, holders }: Case, cpu: number): Finding | undefined {
  const other = holders.onSameCpu(thread, cpu);
  if (other === undefined) return undefined;
  const why = `shares CPU ${cpu} with ${nameOf(other, vm)}`;
  return { kind: 'shared_cpu', why, other };
}

function sharedCore({ vm, thread, holders }: Case, cpu: number): Finding | undefined {
  const other = holders.onSameCore(vm, thread, cpu);
  if (other === undefined) return undefined;
  const core = formatCpuList([cpu, ...holders.facts.siblings(cpu)].sort((a, b) => a - b));
  const why = `shares the core of CPUs ${core} with ${nameOf(other, vm)}`;
  return { kind: 'shared_core', why, other };
}

function nameOf({ vm, thread }: Holder, self: ObservedVm): string {
  return vm.vm === self.vm ? thread.label : `${thread.label} of ${vm.vm}`;
}

function crossNode({ vm, thread, holders, expected, actual }: Case): Finding | undefined {
  // A thread that is neither pinned nor expected to be may run on every node, so no node is wrong.
  const { facts } = holders;
  if (isPin(expected, vm, facts) !== true && isPin(actual, vm, facts) !== true) return undefined;
  const why = crossingOf(vm, thread, facts);
  return why === undefined ? undefined : { kind: 'cross_node', why };
}

function migrating({ vm, thread, holders, expected }: Case, limit: number): Finding | undefined {
  const rate = thread.migrationsPerSecond;
  if (rate === undefined || rate <= limit || isPin(expected, vm, holders.facts) === false) return undefined;
  const why = `${rate.toFixed(1)} migrations per second on CPUs ${thread.allowedList}, limit ${limit}`;
  return { kind: 'migrating', why };
}
