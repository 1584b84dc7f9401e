import { getOrInsert } from '../../../kernel/maps.ts';
import { sum } from '../../../kernel/sum.ts';
import { MSEC_PER_SEC } from '../../../kernel/units.ts';
import type { Control, Gate } from '../../../probes/bpf/gates.ts';
import { type SourceError, sourceError } from '../../../probes/errors.ts';
import { costRatio, type EventCost, plansFor } from '../budget.ts';
import { MeasuredCost, type Seen, type Timed } from './measured-cost.ts';
import { Windows } from './windows.ts';

/** Programs that are sampled together: those of one object. */
export interface Sampled extends Timed {
  readonly name: string;
  /** Cost of an event of each gate. */
  readonly gates: ReadonlyMap<number, EventCost>;
  /** @throws SourceError */
  gate(number: number): Gate[];
  /** @throws SourceError */
  set(control: Control): void;
  /** Its programs run from now on. @throws SourceError */
  open(): void;
  /** Its programs do not run until `open`. */
  shut(): void;
}

/** Time between two adjustments. */
export const ADJUST_MS = 250;
/** Adjustments whose rates count: a load that ends keeps its period for a second, and one that begins gets it at the next. */
const KEPT = 4;

/** Events per second of one gate in one interval, by CPU. */
interface Interval {
  readonly seconds: number;
  readonly events: readonly number[];
  readonly passed: readonly number[];
}

interface GateHistory {
  readonly cost: EventCost;
  last: readonly Gate[];
  intervals: Interval[];
  period: number;
}

/** An object of which the periods and the share of the time are adjusted. */
interface Adjusted {
  readonly gates: Map<number, GateHistory>;
  readonly windows: Windows;
}

/** Adjusts periods and windows of all programs to the rates of their events, so that tracing stays within the budget. */
export class Sampling {
  readonly #adjusted = new Map<Sampled, Adjusted>();
  readonly #measured: MeasuredCost;
  #at: number | undefined;
  #failure: SourceError | undefined;

  /**
   * @param now milliseconds of a monotonic clock
   * @param random from 0 to 1, without 1
   */
  constructor(
    private readonly objects: readonly Sampled[],
    private readonly budget: number,
    private readonly now: () => number,
    private readonly random: () => number,
  ) {
    this.#measured = new MeasuredCost(now);
  }

  get problems(): readonly SourceError[] {
    return this.#failure === undefined ? [] : [this.#failure];
  }

  /** Call several times a second. */
  adjust(): void {
    try {
      this.#failure = undefined;
      this.#observe();
      this.#measured.next(this.objects, this.#seen);
      this.#apply();
    } catch (error) {
      this.#failure = sourceError(error, 'BPF sampling');
    }
  }

  /** Call before the objects are closed. */
  stop(): void {
    this.#measured.stop();
  }

  /** Measured cost of an event on this host, relative to the table of costs; undefined if it was not measured. */
  get costFactor(): number | undefined {
    return this.#measured.factor;
  }

  /** Share of the object's events of the last second that are in the sample. */
  sampledRatio(object: Sampled): number {
    const { gates = new Map<number, GateHistory>(), windows } = this.#adjusted.get(object) ?? {};
    const histories = [...gates.values()];
    const total = (of: (interval: Interval) => readonly number[]): number =>
      sum(histories.map(({ intervals }) => sum(intervals.flatMap((each) => of(each)))));
    const share = windows?.share ?? 1;
    const events = total((interval) => interval.events);
    const longest = Math.max(1, ...histories.map(({ period }) => period));
    const ratio = events === 0 ? 1 / longest : total((interval) => interval.passed) / events;
    return Math.min(1, ratio) / share;
  }

  /** Seconds from one window of the object to the next, on average; undefined if its programs run all the time. */
  windowEvery(object: Sampled): number | undefined {
    const share = this.#adjusted.get(object)?.windows.share ?? 1;
    return share > 1 ? (share * ADJUST_MS) / MSEC_PER_SEC : undefined;
  }

  /** Share of a CPU's time that tracing took in the last second, on the CPU where it took most. */
  get costRatio(): number {
    return costRatio(
      [...this.#adjusted.values()].flatMap(({ gates, windows: { share } }) =>
        [...gates.values()].map(({ cost, intervals }) => ({
          cost: this.#costOf(cost),
          share,
          rates: meanRates(intervals, (interval) => interval.events),
          sampled: meanRates(intervals, (interval) => interval.passed),
        })),
      ),
    );
  }

  #observe(): void {
    const now = this.now();
    const seconds = this.#at === undefined ? 0 : (now - this.#at) / 1000;
    this.#at = now;
    for (const object of this.objects) {
      const adjusted = getOrInsert(this.#adjusted, object, () => ({
        gates: new Map<number, GateHistory>(),
        windows: new Windows(object, this.random),
      }));
      // Outside of its windows an object sees no events, which says nothing about their rate.
      if (adjusted.windows.isOpen) observe(object, adjusted, seconds);
    }
  }

  #costOf({ eventNs, sampleNs }: EventCost): EventCost {
    const { factor = 1 } = this.#measured;
    return { eventNs: eventNs * factor, sampleNs: sampleNs * factor };
  }

  /** All events so far. */
  get #seen(): Seen {
    let [events, tableNs] = [0, 0];
    for (const { gates } of this.#adjusted.values()) {
      for (const { cost, last } of gates.values()) {
        for (const gate of last) {
          events += gate.events;
          tableNs += gate.events * cost.eventNs + gate.passed * cost.sampleNs;
        }
      }
    }
    return { events, tableNs };
  }

  #apply(): void {
    const all = this.objects.flatMap((object) => this.#adjusted.get(object) ?? []);
    const loads = all.map(({ gates }) =>
      [...gates.values()].map(({ cost, intervals }) => ({
        cost: this.#costOf(cost),
        rates: highestRates(intervals),
      })),
    );
    for (const [i, plan] of plansFor(loads, this.budget).entries()) {
      const { gates = new Map<number, GateHistory>(), windows } = all[i] ?? {};
      const periods: number[] = [];
      for (const [j, [number, history]] of [...gates].entries())
        periods[number] = history.period = plan.periods[j] ?? 1;
      windows?.next(plan.share, periods);
    }
  }
}

function observe(object: Sampled, { gates, windows }: Adjusted, seconds: number): void {
  for (const [number, cost] of object.gates) {
    const last = object.gate(number);
    const known = gates.get(number);
    if (known === undefined) {
      gates.set(number, { cost, last, intervals: [], period: 1 });
      continue;
    }
    // Windows are rare, so rates from before this one are out of date.
    if (seconds > 0)
      known.intervals = [...known.intervals, growth(known.last, last, seconds)].slice(
        windows.share > 1 ? -1 : -KEPT,
      );
    known.last = last;
  }
}

function growth(before: readonly Gate[], now: readonly Gate[], seconds: number): Interval {
  const of = (count: (gate: Gate) => number): number[] =>
    now.map((gate, cpu) => {
      const last = before[cpu];
      return last === undefined ? 0 : Math.max(0, count(gate) - count(last));
    });
  return { seconds, events: of(({ events }) => events), passed: of(({ passed }) => passed) };
}

/** Per second, by CPU. */
function highestRates(intervals: readonly Interval[]): number[] {
  const [first] = intervals;
  return (first?.events ?? []).map((_, cpu) =>
    Math.max(...intervals.map(({ events, seconds }) => (events[cpu] ?? 0) / seconds)),
  );
}

function meanRates(intervals: readonly Interval[], of: (interval: Interval) => readonly number[]): number[] {
  const seconds = sum(intervals.map((interval) => interval.seconds));
  const [first] = intervals;
  return (first === undefined ? [] : of(first)).map(
    (_, cpu) => sum(intervals.map((interval) => of(interval)[cpu] ?? 0)) / seconds,
  );
}
