import { NSEC_PER_SEC } from '../../kernel/units.ts';

/** What an event costs the CPU on which it happens, in nanoseconds. docs/performance.md has the measurements. */
export interface EventCost {
  /** Each event, also one that the sample leaves out. */
  readonly eventNs: number;
  /** An event in the sample, besides that. */
  readonly sampleNs: number;
}

/** Events of one program, on each CPU of the host. */
export interface EventLoad {
  readonly cost: EventCost;
  /** Events per second, by CPU. */
  readonly rates: readonly number[];
}

/** A program samples one event in so many at most: with more, a second has too few samples to show anything. */
export const LONGEST_PERIOD = 4096;
/** If leaving events out exceeds the budget already, the samples take this share of the budget at most. */
const LEAST_ROOM = 0.1;
/**
 * Windows of hist triggers for durations are open for this many times the budget: while one is open, the set takes 6 to 19% of an
 * I/O-bound CPU, so a tenth in round numbers.
 */
const WINDOWS = 10;

/**
 * For each program, one event in how many goes into the sample, so that on no CPU tracing takes more than the budget. On each
 * CPU the programs get equal parts of it. A program that needs less than its part counts every event, and leaves the rest to the
 * others. So sets with few events stay exact next to one with many.
 *
 * @param budget share of a CPU's time
 * @returns powers of two
 */
export function periodsFor(loads: readonly EventLoad[], budget: number): number[] {
  const cpus = Math.max(0, ...loads.map(({ rates }) => rates.length));
  const periods = loads.map(() => 1);
  for (let cpu = 0; cpu < cpus; cpu++) {
    const needed = periodsOn(
      loads.map(({ rates, cost }) => ({ rate: rates[cpu] ?? 0, ...cost })),
      budget * NSEC_PER_SEC,
    );
    for (const [i, period] of needed.entries()) periods[i] = Math.max(periods[i] ?? 1, period);
  }
  return periods;
}

/** Share of a CPU's time that tracing takes, on the CPU where it takes most. @param sampled events per second in the sample */
export function costRatio(loads: readonly (EventLoad & { readonly sampled: readonly number[] })[]): number {
  const cpus = Math.max(0, ...loads.map(({ rates }) => rates.length));
  const costs = Array.from({ length: cpus }, (_, cpu) =>
    loads.reduce(
      (sum, { rates, sampled, cost: { eventNs, sampleNs } }) =>
        sum + (rates[cpu] ?? 0) * eventNs + (sampled[cpu] ?? 0) * sampleNs,
      0,
    ),
  );
  return Math.max(0, ...costs) / NSEC_PER_SEC;
}

/** Share of the time in which windows of hist triggers are open. */
export function dutyCycleOf(budget: number): number {
  return Math.min(1, budget * WINDOWS);
}

/** @param budgetNs nanoseconds per second */
function periodsOn(loads: readonly (EventCost & { readonly rate: number })[], budgetNs: number): number[] {
  const spent = loads.reduce((sum, { rate, eventNs }) => sum + rate * eventNs, 0);
  let room = Math.max(budgetNs - spent, budgetNs * LEAST_ROOM);
  const periods = loads.map(() => 1);
  const byNeed = loads
    .map(({ rate, sampleNs }, i) => ({ i, need: rate * sampleNs }))
    .sort((a, b) => a.need - b.need);
  for (const [rank, { i, need }] of byNeed.entries()) {
    const part = room / (byNeed.length - rank);
    const period = need <= part ? 1 : Math.min(LONGEST_PERIOD, 2 ** Math.ceil(Math.log2(need / part)));
    periods[i] = period;
    // A program with the longest period may take more than there was room for.
    room = Math.max(0, room - need / period);
  }
  return periods;
}
