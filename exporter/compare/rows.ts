import type { Span } from './model.ts';
import type { Period } from './periods.ts';
import { median } from './reading-plan.ts';
import type { Subject } from './subject.ts';
import type { Row, Table } from './table.ts';

/** A scrape that follows after more than this many intervals: others are missing in between. */
const GAP = 1.5;
/** Prometheus rounds times to milliseconds. */
const TOLERANCE = 0.002;

/** The rows of one configuration. */
export interface PeriodRows {
  readonly period: Period;
  /** Seconds between two scrapes. */
  readonly interval: number;
  /** By the VM's key, in order of time. */
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  /** Number of times that a scrape was missing. */
  readonly gaps: number;
}

export function rowsOf(table: Table, subjects: readonly Subject[], period: Period): PeriodRows {
  const all = new Map<string, readonly Row[]>();
  for (const { key } of subjects) {
    const spans = period.spans.get(key) ?? [];
    const rows = spans.length === 0 ? [] : within([...table.rowsOf(key)], spans);
    if (rows.length > 0) all.set(key, rows);
  }
  const interval = median([...all.values()].flat().map(({ seconds }) => seconds));
  const rows = new Map<string, readonly Row[]>();
  let gaps = 0;
  for (const [key, list] of all) {
    const whole = list.filter(({ seconds }) => seconds <= GAP * interval);
    gaps += list.length - whole.length;
    rows.set(key, whole);
  }
  return { period, interval, rows, gaps };
}

/** Rows that are in one of the spans from begin to end. */
function within(rows: readonly Row[], spans: readonly Span[]): Row[] {
  const sorted = [...rows].sort((a, b) => a.at - b.at);
  const inOrder = [...spans].sort((a, b) => a.start - b.start);
  const found: Row[] = [];
  let i = 0;
  for (const row of sorted) {
    let span = inOrder[i];
    while (span !== undefined && row.at > span.end + TOLERANCE) span = inOrder[++i];
    if (span === undefined) break;
    if (row.at - row.seconds >= span.start - TOLERANCE) found.push(row);
  }
  return found;
}
