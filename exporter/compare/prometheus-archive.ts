import {
  avg,
  avgOverTime,
  counterRange,
  countOverTime,
  equal,
  gaugeRange,
  increase,
  type Matchers,
  max,
  notRegexp,
  rate,
  regexp,
  sum,
  type Vector,
} from '../../promql/promql.ts';
import { type PrometheusServer, type Series, TooMuchError } from '../prometheus/server.ts';
import type { Archive, Selector, Windows } from './archive.ts';
import type { Span } from './model.ts';
import { ofSubjects, type Subject } from './subject.ts';
import type { VmCounter, VmGauge } from './terms.ts';

type VmLabel = 'vm' | 'instance' | 'job';
/** Any counter and any gauge of a VM: they have the labels of all. */
const COUNTER = 'kvm_vm_exits_total';
const GAUGE = 'kvm_vm_vcpus';

/** Samples of one response: about 1.5 MB of JSON. */
const SAMPLES = 50_000;
/** Prometheus allows 11,000 points of a series. */
const POINTS = 10_000;
/** A piece that is too much for the server is cut in halves, down to this. */
const MIN_PIECE = 60;
/** The number of series is not known before the first response. */
const FIRST_PIECE = 1800;
const FIRST_POINTS = 20;
/** A piece is at most this many times as long as the one before. */
const MAX_GROWTH = 4;

/** How often the other VMs are read in each configuration, and over how many scrapes. */
const MOMENTS = 12;
const RATE_SCRAPES = 8;

type Query = Pick<Vector<never>, 'promql'>;

export interface PrometheusArchiveOptions {
  /** Called with the seconds of each finished piece. */
  readonly onPiece?: (seconds: number) => void;
}

/** The samples of a Prometheus server. */
export class PrometheusArchive implements Archive {
  constructor(
    private readonly server: Pick<PrometheusServer, 'samples' | 'instant' | 'range' | 'labelSets'>,
    readonly name: string,
    private readonly options: PrometheusArchiveOptions = {},
  ) {}

  labelSets({ metric, labels }: Selector, { start, end }: Span): Promise<Series['labels'][]> {
    return this.server.labelSets(
      withoutRange(gaugeRange(metric as typeof GAUGE, '1s', matchersOf(labels))),
      start,
      end,
    );
  }

  async *presence({ metric, labels }: Selector, time: Span, seconds: number): AsyncGenerator<Series[]> {
    const counted = countOverTime(gaugeRange(metric as typeof GAUGE, `${seconds}s`, matchersOf(labels)));
    for await (const piece of this.#points(counted, time, seconds)) yield piece;
  }

  async *windows({ metric, labels }: Selector, time: Span, how: Windows): AsyncGenerator<Series[]> {
    yield* this.#points(windowed(metric, labels, how), time, how.seconds);
  }

  async *samples({ metric, labels }: Selector, time: Span): AsyncGenerator<Series[]> {
    yield* pieces(time, FIRST_PIECE, async ({ start, end }) => {
      // Since Prometheus 3 a range does not include its start.
      const window = `${Math.round((end - start) * 1000) + 1}ms`;
      const { range } = counterRange(metric as typeof COUNTER, window, matchersOf(labels));
      const found = await this.server.samples(range, end);
      this.options.onPiece?.(end - start);
      return found;
    });
  }

  async otherVmsCpu(subjects: readonly Subject[], times: readonly Span[], interval: number): Promise<number> {
    const { vm = [], instance = [] } = ofSubjects(subjects);
    const others = { ...matchersOf({ instance }), vm: notRegexp(vm.map(escapeRe2).join('|')) };
    const { promql } = sum(rate('kvm_thread_run_seconds_total', `${RATE_SCRAPES * interval}s`, others), []);
    let total = 0;
    const moments = momentsIn(times);
    for (const at of moments) total += (await this.server.instant(promql, at))[0]?.samples[0]?.[1] ?? 0;
    return total / moments.length / new Set(instance).size;
  }

  /** The values of an expression at the ends of windows. */
  async *#points({ promql }: Query, { start, end }: Span, step: number): AsyncGenerator<Series[]> {
    const time = { start: start + step, end };
    if (time.start > time.end) return;
    const grid = { step, most: step * POINTS };
    yield* pieces(
      time,
      FIRST_POINTS * step,
      async (piece) => {
        const found = await this.server.range(promql, piece.start, piece.end, step);
        this.options.onPiece?.(piece.end - piece.start);
        return found;
      },
      grid,
    );
  }
}

/** Times in the middle of equal shares of a time. */
function momentsIn(times: readonly Span[]): number[] {
  const seconds = times.reduce((sum, { start, end }) => sum + end - start, 0);
  return Array.from({ length: MOMENTS }, (_, i) => {
    let left = ((i + 0.5) * seconds) / MOMENTS;
    const span = times.find(({ start, end }) => {
      left -= end - start;
      return left < 0;
    });
    return (span?.end ?? 0) + left;
  });
}

/** Points at multiples of `step` from the start: pieces have none in common. */
interface Grid {
  readonly step: number;
  readonly most: number;
}

/** Reads a time piece by piece, each about as large as a response may be. */
async function* pieces(
  { start, end }: Span,
  seconds: number,
  read: (piece: Span) => Promise<Series[]>,
  { step, most }: Grid = { step: 0, most: Number.POSITIVE_INFINITY },
): AsyncGenerator<Series[]> {
  let length = seconds;
  for (let from = start; from <= end; ) {
    const to = Math.min(end, from + length);
    try {
      const found = await read({ start: from, end: to });
      const samples = found.reduce((sum, each) => sum + each.samples.length, 0);
      length = onGrid(Math.min(most, length * Math.min(MAX_GROWTH, SAMPLES / Math.max(1, samples))), step);
      yield found;
    } catch (error) {
      if (!(error instanceof TooMuchError) || length <= Math.max(MIN_PIECE, step)) throw error;
      length = onGrid(length / 2, step);
      continue;
    }
    if (to === end) return;
    from = to + step;
  }
}

function onGrid(length: number, step: number): number {
  return step === 0 ? Math.max(MIN_PIECE, length) : Math.max(step, Math.floor(length / step) * step);
}

function windowed(metric: string, labels: Selector['labels'], { kind, unite, by, seconds }: Windows): Query {
  const kept = ['job', 'instance', 'vm', ...by] as VmLabel[];
  const matchers = matchersOf(labels);
  if (kind === 'level')
    return avg(avgOverTime(gaugeRange(metric as VmGauge as typeof GAUGE, `${seconds}s`, matchers)), kept);
  return (unite === 'max' ? max : sum)(
    increase(metric as VmCounter as typeof COUNTER, `${seconds}s`, matchers),
    kept,
  );
}

function matchersOf(labels: Selector['labels']): Matchers<VmLabel> {
  return Object.fromEntries(
    Object.entries(labels).map(([label, values]) => [
      label,
      values.length === 1 ? equal(values[0] ?? '') : regexp(values.map(escapeRe2).join('|')),
    ]),
  );
}

function escapeRe2(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The selector of a range. */
function withoutRange({ range }: { readonly range: string }): string {
  return range.slice(0, range.lastIndexOf('['));
}
