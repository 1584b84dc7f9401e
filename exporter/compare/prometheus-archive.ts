import type { Series } from '../prometheus/series.ts';
import type { PrometheusServer } from '../prometheus/server.ts';
import type { Archive, Selector, Windows } from './archive.ts';
import type { Span } from './model.ts';
import { pieces } from './pieces.ts';
import { otherVmsQuery, presenceQuery, samplesQuery, seriesQuery, windowQuery } from './queries.ts';
import type { Subject } from './subject.ts';

/** Prometheus allows 11,000 points of a series. */
const POINTS = 10_000;
/** The number of series is not known before the first response. */
const FIRST_PIECE = 1800;
const FIRST_POINTS = 20;

/** Number of readings of the other VMs in each configuration, and of scrapes in each reading. */
const MOMENTS = 12;
const RATE_SCRAPES = 8;

/** The samples of a Prometheus server. */
export class PrometheusArchive implements Archive {
  readonly ifEmpty = 'check that it scrapes kvm-telemetry, and give another time';

  constructor(
    private readonly server: Pick<PrometheusServer, 'samples' | 'instant' | 'range' | 'labelSets'>,
    readonly name: string,
  ) {}

  labelSets(selector: Selector, { start, end }: Span): Promise<Series['labels'][]> {
    return this.server.labelSets(seriesQuery(selector), start, end);
  }

  presence(selector: Selector, time: Span, seconds: number): AsyncGenerator<Series[]> {
    return this.#points(presenceQuery(selector, seconds), time, seconds);
  }

  windows(selector: Selector, time: Span, how: Windows): AsyncGenerator<Series[]> {
    return this.#points(windowQuery(selector, how), time, how.seconds);
  }

  samples(selector: Selector, time: Span): AsyncGenerator<Series[]> {
    return pieces(time, FIRST_PIECE, ({ start, end }) =>
      this.server.samples(samplesQuery(selector, end - start), end),
    );
  }

  async otherVmsCpu(subjects: readonly Subject[], times: readonly Span[], interval: number): Promise<number> {
    const query = otherVmsQuery(subjects, RATE_SCRAPES * interval);
    const hosts = new Set(subjects.map(({ instance }) => instance));
    let total = 0;
    const moments = momentsIn(times);
    for (const at of moments) total += (await this.server.instant(query, at))[0]?.samples[0]?.[1] ?? 0;
    return total / moments.length / hosts.size;
  }

  /** The values of an expression at the ends of windows. */
  async *#points(query: string, { start, end }: Span, step: number): AsyncGenerator<Series[]> {
    const time = { start: start + step, end };
    if (time.start > time.end) return;
    const grid = { step, most: step * POINTS };
    yield* pieces(
      time,
      FIRST_POINTS * step,
      (piece) => this.server.range(query, piece.start, piece.end, step),
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
