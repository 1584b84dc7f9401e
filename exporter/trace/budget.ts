import { sum } from '../../kernel/sum.ts';
import { NSEC_PER_SEC } from '../../kernel/units.ts';

/** Cost of an event for its CPU, in nanoseconds. docs/performance.md has the measurements. */
export interface EventCost {
  /** Each event, also one that the sample leaves out. */
  readonly eventNs: number;
  /** Additional cost of an event in the sample. */
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
/** A window of a quarter of a second in this many is 16 s apart from the next. */
export const LONGEST_SHARE = 64;
/** Leaving events out takes the rest of the budget at most: this share is for the sample. */
const LEAST_ROOM = 0.1;
/** A hist trigger executes 850 instructions for an event, twice as many as a BPF program that takes 200 ns. */
const HIT_NS = 430;
/**
 * Windows of hist triggers for durations are open for this many times the budget: while one is open, the set takes 6 to 19% of an
 * I/O-bound CPU, so a tenth in round numbers.
 */
const WINDOWS = 10;

/** The share of its events that an object counts. */
export interface Plan {
  /** Its programs are attached in one of so many intervals. */
  readonly share: number;
  /** While they are attached one event in so many goes into the sample, by program. */
  readonly periods: readonly number[];
}

/**
 * The share of its events that each object counts, so that tracing stays within the budget on every CPU. On each CPU
 * the programs get equal parts of it. A program that needs less than its part counts every event, and leaves the rest
 * to the others. So sets with few events stay exact next to one with many. Only if even skipping events exceeds the
 * budget, an object counts for a share of the time.
 *
 * @param objects the programs of each
 * @param budget share of a CPU's time
 * @returns powers of two
 */
export function plansFor(objects: readonly (readonly EventLoad[])[], budget: number): Plan[] {
  const cpus = Math.max(0, ...objects.flat().map(({ rates }) => rates.length));
  const plans = objects.map((programs) => ({ share: 1, periods: programs.map(() => 1) }));
  for (let cpu = 0; cpu < cpus; cpu++) {
    const loads = objects.map((programs) =>
      programs.map(({ rates, cost }) => ({ rate: rates[cpu] ?? 0, ...cost })),
    );
    for (const [i, needed] of plansOn(loads, budgetNs(budget)).entries()) {
      const plan = plans[i];
      if (plan === undefined) continue;
      plan.share = Math.max(plan.share, needed.share);
      plan.periods = plan.periods.map((period, j) => Math.max(period, needed.periods[j] ?? 1));
    }
  }
  return plans;
}

/**
 * For each set of hist triggers the n of "counts in one of n seconds", so that all sets together stay within the
 * budget.
 *
 * @param rates events per second of the thread that has most, by set
 */
export function sharesFor(rates: readonly number[], budget: number): number[] {
  const needs = rates.map((rate) => rate * HIT_NS);
  return factorsFor(needs, budgetNs(budget), LONGEST_SHARE);
}

/** Nanoseconds in a second. With a whole CPU every event counts, whatever it costs. */
function budgetNs(budget: number): number {
  return budget >= 1 ? Number.POSITIVE_INFINITY : budget * NSEC_PER_SEC;
}

/** Cost of a program per second, by CPU. */
export interface Taken extends EventLoad {
  /** Events in the sample while it is attached. */
  readonly sampled: readonly number[];
  readonly share: number;
}

/** Share of a CPU's time that tracing takes, on the CPU where it takes most. */
export function costRatio(loads: readonly Taken[]): number {
  const cpus = Math.max(0, ...loads.map(({ rates }) => rates.length));
  const costs = Array.from({ length: cpus }, (_, cpu) =>
    loads.reduce(
      (sum, { rates, sampled, share, cost: { eventNs, sampleNs } }) =>
        sum + ((rates[cpu] ?? 0) * eventNs + (sampled[cpu] ?? 0) * sampleNs) / share,
      0,
    ),
  );
  return Math.max(0, ...costs) / NSEC_PER_SEC;
}

/** Share of the time in which windows of hist triggers are open. */
export function dutyCycleOf(budget: number): number {
  return Math.min(1, budget * WINDOWS);
}

type Load = EventCost & { readonly rate: number };

/** @param budgetNs nanoseconds per second */
function plansOn(objects: readonly (readonly Load[])[], all: number): Plan[] {
  const floors = objects.map((programs) => sum(programs.map(({ rate, eventNs }) => rate * eventNs)));
  const shares = factorsFor(floors, all * (1 - LEAST_ROOM), LONGEST_SHARE);
  const spent = sum(floors.map((floor, i) => floor / (shares[i] ?? 1)));
  const needs = objects.map((programs, i) =>
    programs.map(({ rate, sampleNs }) => (rate * sampleNs) / (shares[i] ?? 1)),
  );
  const room = Math.max(all - spent, all * LEAST_ROOM);
  const periods = factorsFor(needs.flat(), room, LONGEST_PERIOD);
  return needs.map((own, i) => ({
    share: shares[i] ?? 1,
    periods: periods.splice(0, own.length),
  }));
}

/**
 * The divisor of each need so that all fit into the room. All get equal parts, and unused room goes to the others.
 */
function factorsFor(needs: readonly number[], all: number, longest: number): number[] {
  const factors = needs.map(() => 1);
  const ascending = needs.map((need, i) => ({ i, need })).sort((a, b) => a.need - b.need);
  let room = all;
  for (const [rank, { i, need }] of ascending.entries()) {
    const part = room / (ascending.length - rank);
    const factor = need <= part ? 1 : Math.min(longest, 2 ** Math.ceil(Math.log2(need / part)));
    factors[i] = factor;
    // With the largest factor a need may still exceed its part.
    room = Math.max(0, room - need / factor);
  }
  return factors;
}
