import type { Measure, Measured } from './measures.ts';
import { digits, duration, percent, scaled } from './words.ts';

export const MEASURED_CAUSES = [
  'quota',
  'run_queue_wait',
  'interrupts',
  'exits',
  'device',
  'frequency',
  'memory_pressure',
  'io_pressure',
  'steal',
] as const;
export type MeasuredCause = (typeof MEASURED_CAUSES)[number];

/** The share of time that a changed measure takes from the VM. */
export interface Loss {
  readonly cause: MeasuredCause;
  readonly before: number;
  readonly after: number;
  readonly unit: 'ratio' | 'seconds' | 'hertz';
  /** Share of the time of an I/O that the measure takes now in addition. */
  readonly loss: number;
  readonly text: string;
}

/** Measures that are a share of the time. */
const SHARES: readonly (readonly [cause: MeasuredCause, measure: Measure, before: string, after: string])[] =
  [
    ['quota', 'quota', 'a CPU quota takes', 'of the CPU time that the VM wants'],
    ['quota', 'quota vcpu', 'CPU quotas of its vCPUs take', 'of the CPU time that they want'],
    ['quota', 'quota io', 'CPU quotas of its I/O threads take', 'of the CPU time that they want'],
    ['run_queue_wait', 'wait', 'its threads wait for a CPU', 'of the time in which they want one'],
    ['run_queue_wait', 'wait vcpu', 'its vCPUs wait for a CPU', 'of the time in which they want one'],
    ['run_queue_wait', 'wait io', 'its I/O threads wait for a CPU', 'of the time in which they want one'],
    ['interrupts', 'interrupts', "the host's interrupts take", 'of the time of its CPUs'],
    ['exits', 'exit time', 'exits take', "of the vCPUs' time"],
    ['run_queue_wait', 'cpu stall', 'a task of its cgroup waits for a CPU', 'of the time'],
    ['memory_pressure', 'memory stall', 'a task of its cgroup waits for memory', 'of the time'],
    ['io_pressure', 'io stall', "a task of its cgroup waits for the host's I/O", 'of the time'],
    ['steal', 'steal', 'the hypervisor under this host takes', 'of the time of its CPUs'],
  ];

/** A smaller share of a CPU is the host's own work. */
const LEAST_USE = 0.05;
/** A smaller share of the time is noise. */
const MIN_LOSS = 0.02;

/** The loss by each measured cause, the largest first. */
export function lossesOf(before: Measured, after: Measured): Loss[] {
  const found = [
    ...SHARES.map((share) => shareLoss(share, before, after)),
    device(before, after),
    clock(before, after),
  ]
    .filter((loss) => loss !== undefined)
    .filter(({ loss }) => loss >= MIN_LOSS)
    .sort((a, b) => b.loss - a.loss);
  return found.filter(({ cause }, i) => found.findIndex((each) => each.cause === cause) === i);
}

/** Causes that are unknown before or after the change. */
export function unknownIn(before: Measured, after: Measured): MeasuredCause[] {
  const measures: readonly (readonly [MeasuredCause, Measure])[] = [
    ...SHARES.map(([cause, measure]) => [cause, measure] as const),
    ['device', 'device time'],
    ['frequency', 'frequency'],
  ];
  const isKnown = (measure: Measure): boolean =>
    before[measure] !== undefined && after[measure] !== undefined;
  return MEASURED_CAUSES.filter(
    (cause) => !measures.some(([of, measure]) => of === cause && isKnown(measure)),
  );
}

function shareLoss(
  [cause, measure, head, tail]: (typeof SHARES)[number],
  before: Measured,
  after: Measured,
): Loss | undefined {
  const [past, now] = [before[measure], after[measure]];
  if (past === undefined || now === undefined) return undefined;
  const text = `${head} ${percent(now)} ${tail}, before ${percent(past)}${cause === 'run_queue_wait' ? neighbours(before, after) : ''}`;
  return {
    cause,
    before: past,
    after: now,
    unit: 'ratio',
    loss: lossBy(measure, past, now, before, after),
    text,
  };
}

/**
 * A part that gets 25% of the time and then 10% does 60% less: the growth of a share counts by what was left before. An interrupt
 * of the host on a vCPU's CPU is handled within an exit.
 */
function lossBy(measure: Measure, past: number, now: number, before: Measured, after: Measured): number {
  const within =
    measure === 'exit time' ? Math.max(0, (after.interrupts ?? 0) - (before.interrupts ?? 0)) : 0;
  return past < 1 ? (now - past - within) / (1 - past) : 0;
}

function neighbours({ others: past }: Measured, { others: now }: Measured): string {
  if (past === undefined || now === undefined || Math.max(past, now) < LEAST_USE) return '';
  return `; other programs use ${digits(now)} of its CPUs, before ${digits(past)}`;
}

/**
 * An I/O cannot be at the device for longer than its latency. If the latency is unknown, the result is an upper
 * limit: the device has all of the I/O's time.
 */
function device(before: Measured, after: Measured): Loss | undefined {
  const [past, now] = [before['device time'], after['device time']];
  if (past === undefined || now === undefined || now === 0) return undefined;
  const { latency: slow = now } = after;
  const grown = Math.min(now - past, slow - (before.latency ?? past));
  const text = `an I/O takes ${duration(now)} at the device, before ${duration(past)}`;
  return {
    cause: 'device',
    before: past,
    after: now,
    unit: 'seconds',
    loss: grown / Math.max(now, slow),
    text,
  };
}

/** An upper limit: all of an I/O's time is work of these CPUs. */
function clock(before: Measured, after: Measured): Loss | undefined {
  const [past, now] = [before.frequency, after.frequency];
  if (past === undefined || now === undefined || past === 0) return undefined;
  const text = `its CPUs run at ${scaled(now, 'Hz')}, before ${scaled(past, 'Hz')}`;
  return { cause: 'frequency', before: past, after: now, unit: 'hertz', loss: 1 - now / past, text };
}
