import { type Segment, segmentsOf } from './segments.ts';

/** An hour of one VM: `times` in seconds of the epoch, ascending, and as many values in each series; null if unknown. */
export interface Hour {
  readonly times: readonly number[];
  readonly series: Readonly<Record<string, readonly (number | null)[]>>;
}

/** A VM's I/O is worse than before. */
export interface Worsening {
  readonly metric: 'iops' | 'latency';
  readonly from: number;
  readonly to: number;
  /** Seconds of the epoch. */
  readonly since: number;
  /** Share of the time of an I/O that is lost now: 0.5 if an I/O takes twice as long. */
  readonly loss: number;
  /** Indexes of the values before and after. */
  readonly before: Pick<Segment, 'from' | 'to'>;
  readonly after: Pick<Segment, 'from' | 'to'>;
}

/** A smaller loss does not count. */
const MIN_LOSS = 0.2;
/** Two levels within this factor are equally bad. */
const ALIKE = 1.25;
/** With this many equally bad levels before it, a level is usual: the load comes and goes. */
const USUAL = 2;

/**
 * The last change of the VM's I/O, if it is a worsening. The rate precedes the latency, because it is the work that
 * the guest gets done.
 */
export function worseningOf(hour: Hour): Worsening | undefined {
  return lastIn(hour, 'iops') ?? lastIn(hour, 'latency');
}

function lastIn({ times, series }: Hour, metric: Worsening['metric']): Worsening | undefined {
  const segments = segmentsOf(series[metric] ?? []);
  const [before, after] = segments.slice(-2);
  if (before === undefined || after === undefined) return undefined;
  // Both as the time of an I/O: more is worse.
  const slowness = ({ level }: Segment): number => (metric === 'iops' ? 1 / level : level);
  const loss = 1 - slowness(before) / slowness(after);
  if (loss < MIN_LOSS) return undefined;
  const alike = segments.slice(0, -2).filter((each) => slowness(each) * ALIKE >= slowness(after));
  if (alike.length >= USUAL) return undefined;
  return {
    metric,
    from: before.level,
    to: after.level,
    since: times[before.to - 1] ?? 0,
    loss,
    before,
    after,
  };
}
