import { SIGHTS } from '../metrics/visibility.ts';
import { hiderInWords } from '../model/visibility-in-words.ts';
import type { SumMetric } from './metrics.ts';
import { TRACED, WORK } from './metrics.ts';
import type { Configuration } from './model.ts';
import type { Evaluation } from './observations.ts';
import type { PeriodRows } from './rows.ts';
import type { Subject } from './subject.ts';
import { UNKNOWN } from './table.ts';
import type { HiddenIo } from './visibility.ts';

const MAX_NAMES = 8;

/** Doubts about the samples of a configuration. */
export function notesOn(
  rows: PeriodRows,
  subjects: readonly Subject[],
  evaluation: Evaluation,
  metrics: readonly SumMetric[],
  observations: Configuration['observations'],
): string[] {
  const nameOf = (key: string): string => subjects.find((subject) => subject.key === key)?.vm ?? key;
  const absent = subjects.filter(({ key }) => !rows.rows.has(key)).map(({ vm }) => vm);
  const onHost = [...rows.rows.keys()].filter((key) => evaluation.isSecondChoice(WORK.ios, key)).map(nameOf);
  const missing = metrics.filter(({ id }) => !observations.has(id)).map(({ id }) => id);
  const resets = resetsIn(rows);
  return [
    ...(absent.length === 0 ? [] : [`These VMs were never in this configuration: ${names(absent)}.`]),
    ...(rows.gaps === 0 ? [] : [`Scrapes are missing at ${times(rows.gaps)}: nothing is counted there.`]),
    ...(resets === 0
      ? []
      : [
          `Counters were reset at ${times(resets)}, because a VM or the exporter started again: the metrics concerned leave that scrape out.`,
        ]),
    ...(onHost.length === 0
      ? []
      : [
          `I/Os of ${names(onHost)} are requests to the host's block devices, after merging: the VMM does not count them.`,
        ]),
    ...(missing.length === 0 ? [] : [`No samples for ${names(missing, Number.POSITIVE_INFINITY)}.`]),
  ];
}

/** The parts of these VMs' I/O that the host can and cannot measure. */
export function notesOnHidden(hidden: HiddenIo): string[] {
  return [...hidden].map(([hider, { sights, vms }]) => {
    const inOrder = SIGHTS.filter((sight) => sights.has(sight));
    return `Not visible to the host for ${names([...vms].sort())}: ${hiderInWords(hider, inOrder)}. Metrics that need it are missing or too low; CPU time, waits and affinity of the threads are complete.`;
  });
}

/**
 * Events of which BPF counted a random sample, with their error: docs/sources.md derives it.
 *
 * @param shares of the events that went into the sample, by set of trace events
 */
export function notesOnSampling(
  shares: ReadonlyMap<string, number>,
  rows: PeriodRows,
  evaluation: Evaluation,
): string[] {
  return Object.entries(TRACED).flatMap(([set, { what, events }]) => {
    const share = shares.get(set) ?? 1;
    const [count = 0] = evaluation.sums([events], rows) ?? [];
    if (share >= 1 || count === 0) return [];
    const error = Math.sqrt(4 / (3 * share * count));
    return `${what} are estimates from ${percent(share)} of the events: their standard error is at most ${percent(error)}, and the intervals contain it.`;
  });
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}

/** Scrapes with a counter that fell. */
function resetsIn({ rows }: PeriodRows): number {
  return [...rows.values()].flat().filter(({ values }) => values.includes(UNKNOWN)).length;
}

function names(all: readonly string[], most = MAX_NAMES): string {
  const shown = all.slice(0, most).join(', ');
  return all.length > most ? `${shown} and ${all.length - most} more` : shown;
}

function times(count: number): string {
  return count === 1 ? 'one time' : `${count} times`;
}

/** Metrics without a sample in any configuration. A role that a VM does not have is no gap in the report. */
export function noteOnAbsent(ids: readonly string[]): string[] {
  const worthy = ids.filter((id) => !id.startsWith('cpu_'));
  return worthy.length === 0
    ? []
    : [
        `Not measured in any configuration: ${names(worthy, Number.POSITIVE_INFINITY)}. docs/compare.md names the sources.`,
      ];
}
