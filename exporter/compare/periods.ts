import { append } from '../../kernel/maps.ts';
import type { Series } from '../prometheus/series.ts';
import type { Archive, Selector } from './archive.ts';
import type { Span } from './model.ts';
import { keyOf, ofSubjects, type Subject } from './subject.ts';

/** The times of each VM in one configuration, by the VM's key. */
export interface Period {
  readonly name: string;
  readonly spans: ReadonlyMap<string, readonly Span[]>;
}

/** A state that is missing for this many windows has ended. */
const BRIDGED = 3;

/** The series that name the configuration of a VM. */
export const NAMED_BY = {
  stage: { metric: 'kvm_vm_stage_info', labels: { source: ['detected'] }, label: 'stage' },
  phase: { metric: 'kvm_vm_phase_info', labels: {}, label: 'phase' },
} as const;
export type NamedBy = keyof typeof NAMED_BY;

/** The periods that a metric names, in order of their first appearance. */
export async function namedPeriods(
  archive: Archive,
  by: NamedBy,
  subjects: readonly Subject[],
  time: Span,
  seconds: number,
): Promise<Period[]> {
  const { metric, labels, label } = NAMED_BY[by];
  const selector: Selector = { metric, labels: { ...labels, ...ofSubjects(subjects) } };
  const keys = new Set(subjects.map(({ key }) => key));
  const states = new Map<string, Map<number, string[]>>();
  for await (const piece of archive.presence(selector, time, seconds)) take(piece, label, keys, states);
  const periods = new Map<string, Map<string, Span[]>>();
  const starts = new Map<string, number>();
  for (const [key, byTime] of states) {
    for (const { name, start, end } of stretches(byTime, BRIDGED * seconds)) {
      const spans = periods.get(name) ?? new Map<string, Span[]>();
      periods.set(name, spans);
      append(spans, key, { start, end });
      starts.set(name, Math.min(start, starts.get(name) ?? start));
    }
  }
  return [...periods]
    .map(([name, spans]) => ({ name, spans }))
    .sort((a, b) => (starts.get(a.name) ?? 0) - (starts.get(b.name) ?? 0));
}

function take(
  piece: readonly Series[],
  label: string,
  keys: ReadonlySet<string>,
  states: Map<string, Map<number, string[]>>,
): void {
  for (const { labels, samples } of piece) {
    const key = keyOf(labels);
    if (!keys.has(key)) continue;
    const byTime = states.get(key) ?? new Map<number, string[]>();
    states.set(key, byTime);
    for (const [at] of samples) append(byTime, at, labels[label] ?? '');
  }
}

interface Stretch extends Span {
  readonly name: string;
}

/**
 * Times with one state. A window with two states is a change, and belongs to neither.
 *
 * @param bridged seconds without a sample that do not end a stretch
 */
function stretches(byTime: ReadonlyMap<number, readonly string[]>, bridged: number): Stretch[] {
  const found: Stretch[] = [];
  let last: Stretch | undefined;
  for (const [at, names] of [...byTime].sort(([a], [b]) => a - b)) {
    const distinct = new Set(names);
    const [name = ''] = distinct;
    if (distinct.size > 1) {
      last = undefined;
      continue;
    }
    if (last?.name === name && at - last.end <= bridged) found.pop();
    last = { name, start: last?.name === name && at - last.end <= bridged ? last.start : at, end: at };
    found.push(last);
  }
  return found;
}

export function secondsOf(period: Period): number {
  return [...period.spans.values()].flat().reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Times without overlaps, in order. */
export function merged(spans: readonly Span[]): Span[] {
  const all: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    const last = all.at(-1);
    if (last !== undefined && span.start <= last.end) {
      all.splice(-1, 1, { start: last.start, end: Math.max(last.end, span.end) });
    } else all.push(span);
  }
  return all;
}

export function spansOf(period: Period): Span[] {
  return merged([...period.spans.values()].flat());
}

/** Whether a scrape at this time belongs to one of the spans. */
export function includes(spans: readonly Span[], at: number): boolean {
  return spans.some(({ start, end }) => at > start && at <= end);
}

/** Merge times that are close together: requests cost more than the samples in between. */
export function joined(times: readonly Span[], gap: number): Span[] {
  return merged(times.map(({ start, end }) => ({ start, end: end + gap }))).map(({ start, end }) => ({
    start,
    end: end - gap,
  }));
}
