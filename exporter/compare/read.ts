import type { Series } from '../prometheus/series.ts';
import type { Archive, Selector } from './archive.ts';
import type { Span } from './model.ts';
import type { ReadingPlan } from './reading-plan.ts';
import type { Reading } from './readings.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';
import { Table } from './table.ts';

/** A window with fewer of its scrapes than this is left out: increase() would extrapolate. */
const MIN_COVERAGE = 0.9;
const AT_ONCE = 2;
const TIMELINE = 'kvm_vm_vcpus';

export interface ReadOptions {
  readonly interval: number;
  /** Called with the share of the work that is done. */
  readonly onProgress: (share: number) => void;
}

/** Reads everything that the terms need. Each VM's scrapes come first: every other sample belongs to one of them. */
export async function readTable(
  archive: Archive,
  readings: readonly Reading[],
  subjects: readonly Subject[],
  { times, window }: ReadingPlan,
  { interval, onProgress }: ReadOptions,
): Promise<Table> {
  const table = new Table();
  const context: Context = {
    archive,
    table,
    subjects,
    keys: new Set(subjects.map(({ key }) => key)),
    window,
  };
  for (const time of times) await addRows(context, time, interval);
  let done = 0;
  const jobs = readings.flatMap((reading) => times.map((time) => ({ reading, time })));
  const next = jobs.values();
  const work = async (): Promise<void> => {
    for (const { reading, time } of next) {
      await (window === undefined
        ? addSamples(context, reading, time)
        : addWindows(context, reading, time, window));
      onProgress(++done / jobs.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return table;
}

interface Context {
  readonly archive: Archive;
  readonly table: Table;
  readonly subjects: readonly Subject[];
  readonly keys: ReadonlySet<string>;
  readonly window: number | undefined;
}

async function addRows(
  { archive, table, subjects, keys, window }: Context,
  time: Span,
  interval: number,
): Promise<void> {
  const selector: Selector = { metric: TIMELINE, labels: ofSubjects(subjects) };
  if (window !== undefined) {
    const least = (MIN_COVERAGE * window) / interval;
    for await (const piece of archive.presence(selector, time, window)) {
      for (const [key, at, scrapes] of samplesIn(piece, keys))
        if (scrapes >= least) table.addRow(key, at, window);
    }
    return;
  }
  const last = new Map<string, number>();
  for await (const piece of archive.samples(selector, time)) {
    for (const [key, at] of samplesIn(piece, keys)) {
      const before = last.get(key);
      if (before !== undefined && at > before) table.addRow(key, at, at - before);
      last.set(key, at);
    }
  }
}

function* samplesIn(
  piece: readonly Series[],
  keys: ReadonlySet<string>,
): Generator<[string, number, number]> {
  for (const { labels, samples } of piece) {
    const key = keyOf(labels);
    if (keys.has(key)) for (const [at, value] of samples) yield [key, at, value];
  }
}

async function addWindows(
  { archive, table, subjects, keys }: Context,
  reading: Reading,
  time: Span,
  seconds: number,
): Promise<void> {
  const { kind, unite, by } = reading;
  const pieces = archive.windows?.(selectorOf(reading, subjects), time, { kind, unite, by, seconds }) ?? [];
  for await (const piece of pieces) {
    for (const { labels, samples } of piece) {
      const key = keyOf(labels);
      if (!keys.has(key)) continue;
      const column = table.column(reading, kind, labels);
      const count = kind === 'level' ? table.column(reading, 'samples', labels) : undefined;
      for (const [at, value] of samples) {
        table.add(key, at, seconds, column, value, unite);
        if (count !== undefined) table.add(key, at, seconds, count, 1, 'sum');
      }
    }
  }
}

async function addSamples(
  { archive, table, subjects, keys }: Context,
  reading: Reading,
  time: Span,
): Promise<void> {
  const { kind, unite } = reading;
  const last = new Map<string, { at: number; value: number }>();
  for await (const piece of archive.samples(selectorOf(reading, subjects), time)) {
    for (const { labels, samples } of piece) {
      const key = keyOf(labels);
      if (!keys.has(key)) continue;
      const column = table.column(reading, kind, labels);
      if (kind === 'level') {
        const count = table.column(reading, 'samples', labels);
        for (const [at, value] of samples) table.addLevel(key, at, column, count, value);
        continue;
      }
      const series = JSON.stringify(labels);
      let before = last.get(series);
      for (const [at, value] of samples) {
        // A sample at the border of two pieces is in both.
        if (before !== undefined && at <= before.at) continue;
        // The table takes the negative difference after a reset as unknown.
        if (before !== undefined) table.add(key, at, at - before.at, column, value - before.value, unite);
        before = { at, value };
      }
      if (before !== undefined) last.set(series, before);
    }
  }
}

function selectorOf({ metric, only }: Reading, subjects: readonly Subject[]): Selector {
  return { metric, labels: { ...only, ...ofSubjects(subjects) } };
}
