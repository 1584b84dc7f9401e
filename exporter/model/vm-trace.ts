import { NSEC_PER_SEC } from '../../kernel/units.ts';
import { type IoStep, type Isa, isKick, type NotifyWrite, stepOfReason } from './io-path.ts';
import { hiderOf, type Visibility } from './visibility.ts';
import { fromLog2, type Histogram } from './vm-statistics.ts';

export interface ExitCount {
  /** Label of the vCPU's thread; undefined if the count is for the whole VM. */
  readonly thread: string | undefined;
  /** undefined: all reasons without a count of their own. */
  readonly reason: number | undefined;
  readonly count: number;
}

export interface KickCount extends NotifyWrite {
  readonly thread: string;
  readonly count: number;
}

export interface MsiCount {
  readonly vector: number;
  /** APIC ID of the vCPU to which the guest directed the interrupt. */
  readonly destination: number;
  readonly count: number;
}

/** Number of durations in one bucket: `exponent` n stands for ]2^(n-1), 2^n] ns. */
export interface DurationCount {
  readonly exponent: number;
  readonly count: number;
  readonly sumNs: number;
}

/**
 * The tracepoints' counts of one VM since the daemon first saw it. They never fall; undefined if no backend
 * counts them.
 */
export interface VmTrace {
  readonly events: ReadonlyMap<string, number>;
  readonly exits: readonly ExitCount[] | undefined;
  /** Also undefined if kicks cannot be distinguished from other writes. */
  readonly kicks: readonly KickCount[] | undefined;
  /** All kicks. Also available if the backend does not count them by queue. */
  readonly kickTotal: number | undefined;
  /**
   * Exits to user space for port I/O and MMIO. A notification without ioeventfd is among them and cannot be
   * distinguished from an access to another register.
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

/** Filters the kicks from the writes that may be kicks. */
export function kicksOf(writes: readonly KickCount[]): KickCount[] {
  return writes.filter(isKick);
}

/**
 * Exits by step of the I/O path; the steps add up to all exits. Kicks and EOIs come from their own tracepoints, the
 * other steps from the exit's reason. A step is present only if the backend counts it. `other` needs all steps.
 *
 * @param visibility for a confidential guest no step is derived: a reason such as VMGEXIT stands for all steps, and
 *   the absence of kicks means nothing
 */
export function stepsOf(trace: VmTrace, isa: Isa, visibility: Visibility = new Map()): Map<IoStep, number> {
  const steps = new Map<IoStep, number>();
  const { kickTotal, eois } = trace;
  const exits = hiderOf(visibility, 'exits') === undefined ? trace.exits : undefined;
  const areKicksSure = hiderOf(visibility, 'kicks') === undefined;
  if (kickTotal !== undefined && (areKicksSure || kickTotal > 0)) steps.set('kick', kickTotal);
  if (exits !== undefined) {
    for (const step of ['inject', 'halt'] as const) steps.set(step, sumOf(exits, isa, step));
  }
  const eoi = eois ?? (exits === undefined ? undefined : sumOf(exits, isa, 'eoi'));
  if (eoi !== undefined) steps.set('eoi', eoi);
  if (exits === undefined || steps.size < 4) return steps;
  const all = exits.reduce((sum, { count }) => sum + count, 0);
  const identified = [...steps.values()].reduce((sum, count) => sum + count, 0);
  steps.set('other', Math.max(0, all - identified));
  return steps;
}

function sumOf(exits: readonly ExitCount[], isa: Isa, step: IoStep): number {
  return exits.reduce(
    (sum, { reason, count }) =>
      reason !== undefined && stepOfReason(isa, reason) === step ? sum + count : sum,
    0,
  );
}

/** In the best case an exit ends after 1 us. A halt lasts until the next interrupt. */
const BOUND_POWERS = [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22, 24, 27, 30];
/** A longer duration was negative: the clocks of two CPUs disagreed. */
const MAX_EXPONENT = 62;

export function isDuration({ exponent }: DurationCount): boolean {
  return exponent <= MAX_EXPONENT;
}

/** Builds a histogram from the kernel's log2 buckets. */
export function durationHistogram(durations: readonly DurationCount[]): Histogram {
  const counts = new Array<number>(MAX_EXPONENT + 1).fill(0);
  let sumNs = 0;
  for (const { exponent, count, sumNs: ns } of durations.filter(isDuration)) {
    counts[exponent] = (counts[exponent] ?? 0) + count;
    sumNs += ns;
  }
  return fromLog2(counts, sumNs / NSEC_PER_SEC, BOUND_POWERS);
}
