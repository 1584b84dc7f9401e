import type { Series } from '../prometheus/series.ts';
import type { Archive } from './archive.ts';
import type { Span } from './model.ts';
import { joined, merged, type Period } from './periods.ts';
import { ofSubjects, type Subject } from './subject.ts';

/** More samples than this are summed by the server, in windows. */
const MAX_SAMPLES = 6_000_000;
/** Series of a VM with eight vCPUs, an estimate. */
const SERIES_PER_VM = 130;
/** Windows of one VM over all periods together. */
const WINDOWS = 720;
/** increase() is exact to one scrape in a window. */
const SCRAPES_PER_WINDOW = 20;
const PROBE_SECONDS = 1800;
const PROBES = 5;
/** Points of all VMs when the server is queried for their states. */
const STATE_POINTS = 250_000;

export interface ReadingPlan {
  /** The time to read, with one interval before each period. */
  readonly times: readonly Span[];
  /** Seconds of a window; undefined to read the samples as they were scraped. */
  readonly window: number | undefined;
}

/** Plans the reading of the periods, within limits of time and memory. */
export function planOf(periods: readonly Period[], interval: number, archive: Archive): ReadingPlan {
  const all = periods.flatMap(({ spans }) => [...spans.values()].flat());
  const vmSeconds = all.reduce((sum, { start, end }) => sum + end - start, 0);
  const samples = (vmSeconds / interval) * SERIES_PER_VM;
  const around = merged(all.map(({ start, end }) => ({ start: start - 2 * interval, end })));
  const times = joined(around, 20 * interval);
  if (samples <= MAX_SAMPLES || archive.windows === undefined) return { times, window: undefined };
  const seconds = times.reduce((sum, { start, end }) => sum + end - start, 0);
  const scrapes = Math.max(SCRAPES_PER_WINDOW, Math.ceil(seconds / WINDOWS / interval));
  return { times: joined(times, scrapes * interval), window: scrapes * interval };
}

/** Seconds of a window in which to look for the state of each VM. */
export function stateWindow(time: Span, interval: number, vms: number): number {
  return interval * Math.max(1, Math.ceil((((time.end - time.start) / interval) * vms) / STATE_POINTS));
}

/** Seconds between two scrapes, from the last samples of some VMs; undefined if there are no two samples. */
export async function scrapeInterval(
  archive: Archive,
  subjects: readonly Subject[],
  { start, end }: Span,
): Promise<number | undefined> {
  for (const subject of subjects.slice(0, PROBES)) {
    // From the end back, in longer and longer times.
    for (let seconds = PROBE_SECONDS; ; seconds *= 8) {
      const probe = { start: Math.max(start, end - seconds), end };
      const series: Series[] = [];
      const pieces = archive.samples({ metric: 'kvm_vm_vcpus', labels: ofSubjects([subject]) }, probe);
      for await (const piece of pieces) series.push(...piece);
      const gaps = gapsOf(series.flatMap(({ samples }) => samples.map(([at]) => at)));
      if (gaps.length > 0) return median(gaps);
      if (probe.start === start) break;
    }
  }
  return undefined;
}

function gapsOf(times: readonly number[]): number[] {
  const sorted = [...new Set(times)].sort((a, b) => a - b);
  return sorted.slice(1).map((at, i) => at - (sorted[i] ?? at));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
