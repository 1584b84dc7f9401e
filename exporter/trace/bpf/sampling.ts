import type { Gate } from '../../../probes/bpf/gates.ts';
import { type SourceError, sourceError } from '../../../probes/errors.ts';
import { costRatio, type EventCost, periodsFor } from '../budget.ts';

/** Programs that are sampled together: those of one object. */
export interface Sampled {
  readonly name: string;
  /** What an event of each gate costs. */
  readonly gates: ReadonlyMap<number, EventCost>;
  /** @throws SourceError */
  gate(number: number): Gate[];
  /** @throws SourceError */
  setPeriods(periods: readonly number[]): void;
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

/** Adjusts the periods of all programs to the rates of their events, so that tracing stays within the budget. */
export class Sampling {
  readonly #gates = new Map<string, GateHistory>();
  #at: number | undefined;
  #failure: SourceError | undefined;

  /** @param now milliseconds of a monotonic clock */
  constructor(
    private readonly objects: readonly Sampled[],
    private readonly budget: number,
    private readonly now: () => number,
  ) {}

  get problems(): readonly SourceError[] {
    return this.#failure === undefined ? [] : [this.#failure];
  }

  /** Call several times a second. */
  adjust(): void {
    try {
      this.#failure = undefined;
      this.#observe();
      this.#apply();
    } catch (error) {
      this.#failure = sourceError(error, 'BPF sampling');
    }
  }

  /** Share of the object's events of the last second that are in the sample. */
  sampledRatio({ name, gates }: Sampled): number {
    const histories = [...gates.keys()].flatMap((gate) => this.#gates.get(`${name} ${gate}`) ?? []);
    const total = (of: (interval: Interval) => readonly number[]): number =>
      histories.reduce((sum, { intervals }) => sum + sumOf(intervals.flatMap((each) => of(each))), 0);
    const events = total((interval) => interval.events);
    const longest = Math.max(1, ...histories.map(({ period }) => period));
    return events === 0 ? 1 / longest : Math.min(1, total((interval) => interval.passed) / events);
  }

  /** Share of a CPU's time that tracing took in the last second, on the CPU where it took most. */
  get costRatio(): number {
    return costRatio(
      [...this.#gates.values()].map(({ cost, intervals }) => ({
        cost,
        rates: meanRates(intervals, (interval) => interval.events),
        sampled: meanRates(intervals, (interval) => interval.passed),
      })),
    );
  }

  #observe(): void {
    const now = this.now();
    const seconds = this.#at === undefined ? 0 : (now - this.#at) / 1000;
    this.#at = now;
    for (const object of this.objects) {
      for (const [number, cost] of object.gates) {
        const gates = object.gate(number);
        const key = `${object.name} ${number}`;
        const known = this.#gates.get(key);
        if (known === undefined) {
          this.#gates.set(key, { cost, last: gates, intervals: [], period: 1 });
          continue;
        }
        if (seconds > 0)
          known.intervals = [...known.intervals, growth(known.last, gates, seconds)].slice(-KEPT);
        known.last = gates;
      }
    }
  }

  #apply(): void {
    const histories = [...this.#gates.values()];
    const loads = histories.map(({ cost, intervals }) => ({ cost, rates: highestRates(intervals) }));
    const periods = periodsFor(loads, this.budget);
    for (const [i, history] of histories.entries()) history.period = periods[i] ?? 1;
    for (const object of this.objects) {
      const wanted: number[] = [];
      for (const gate of object.gates.keys())
        wanted[gate] = this.#gates.get(`${object.name} ${gate}`)?.period ?? 1;
      object.setPeriods(wanted);
    }
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
  const seconds = sumOf(intervals.map((interval) => interval.seconds));
  const [first] = intervals;
  return (first === undefined ? [] : of(first)).map(
    (_, cpu) => sumOf(intervals.map((interval) => of(interval)[cpu] ?? 0)) / seconds,
  );
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
