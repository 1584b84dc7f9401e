import { type IoStage, type Isa, isKick, type NotifyWrite, stageOfReason } from './io-path.ts';
import { fromLog2, type Histogram } from './vm-statistics.ts';

export interface ExitCount {
  /** Label of the vCPU's thread; undefined where the VM is counted as a whole. */
  readonly thread: string | undefined;
  /** undefined: all reasons that are not counted apart. */
  readonly reason: number | undefined;
  readonly count: number;
}

export interface KickCount extends NotifyWrite {
  readonly thread: string;
  readonly count: number;
}

export interface MsiCount {
  readonly vector: number;
  /** APIC ID of the vCPU that the guest directed it to. */
  readonly destination: number;
  readonly count: number;
}

/** How many times took about how long: `exponent` n stands for ]2^(n-1), 2^n] ns. */
export interface DurationCount {
  readonly exponent: number;
  readonly count: number;
  readonly sumNs: number;
}

/**
 * What the tracepoints counted of one VM since it was first seen. Nothing in it ever falls; undefined is what nobody
 * counts.
 */
export interface VmTrace {
  readonly events: ReadonlyMap<string, number>;
  readonly exits: readonly ExitCount[] | undefined;
  /** undefined also where a kick cannot be told from other writes. */
  readonly kicks: readonly KickCount[] | undefined;
  /** All kicks, where they are counted without their queues. */
  readonly kickTotal: number | undefined;
  /**
   * Exits to user space for port I/O and MMIO. Without ioeventfd a notification is one of them, and cannot be told from
   * accesses to other registers.
   */
  readonly deviceExits: number | undefined;
  /** EOIs that cost an exit. */
  readonly eois: number | undefined;
  readonly msi: readonly MsiCount[];
  readonly exitDurations: ReadonlyMap<number, readonly DurationCount[]>;
  /** Requests by device number. */
  readonly blockRequests: ReadonlyMap<number, number> | undefined;
  readonly blockDurations: readonly DurationCount[] | undefined;
  readonly lockContentionNs: number | undefined;
}

/** Of all writes that may be kicks, those that are. */
export function kicksOf(writes: readonly KickCount[]): KickCount[] {
  return writes.filter(isKick);
}

/**
 * Exits by stage of the I/O path; they sum to all exits. Kicks and EOIs are told by their own tracepoints, the others by
 * the exit's reason. Only what the backend counts is in it: `other` takes all of them.
 */
export function stagesOf(trace: VmTrace, isa: Isa): Map<IoStage, number> {
  const stages = new Map<IoStage, number>();
  const { exits, kickTotal, eois } = trace;
  if (kickTotal !== undefined) stages.set('kick', kickTotal);
  if (exits !== undefined) {
    for (const stage of ['inject', 'halt'] as const) stages.set(stage, sumOf(exits, isa, stage));
  }
  const eoi = eois ?? (exits === undefined ? undefined : sumOf(exits, isa, 'eoi'));
  if (eoi !== undefined) stages.set('eoi', eoi);
  if (exits === undefined || stages.size < 4) return stages;
  const all = exits.reduce((sum, { count }) => sum + count, 0);
  const told = [...stages.values()].reduce((sum, count) => sum + count, 0);
  stages.set('other', Math.max(0, all - told));
  return stages;
}

function sumOf(exits: readonly ExitCount[], isa: Isa, stage: IoStage): number {
  return exits.reduce(
    (sum, { reason, count }) =>
      reason !== undefined && stageOfReason(isa, reason) === stage ? sum + count : sum,
    0,
  );
}

/** Exits end after 1 us where all goes well, and a halt ends with the next interrupt. */
const BOUND_POWERS = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24, 27, 30];
/** Beyond this many years a duration is one that went negative: the clocks of two CPUs disagreed. */
const MAX_EXPONENT = 62;

export function isDuration({ exponent }: DurationCount): boolean {
  return exponent <= MAX_EXPONENT;
}

/** The histogram of durations from the kernel's log2 buckets. */
export function durationHistogram(durations: readonly DurationCount[]): Histogram {
  const counts = new Array<number>(MAX_EXPONENT + 1).fill(0);
  let sumNs = 0;
  for (const { exponent, count, sumNs: ns } of durations.filter(isDuration)) {
    counts[exponent] = (counts[exponent] ?? 0) + count;
    sumNs += ns;
  }
  return fromLog2(counts, sumNs / 1e9, BOUND_POWERS);
}
