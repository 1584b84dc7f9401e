import { ConfigError } from '../config/load.ts';
import { rankOf } from '../metrics/stages.ts';
import type { Archive } from './archive.ts';
import { type MetricDefinition, termsOf } from './metrics.ts';
import type { Comparison, Configuration, Span } from './model.ts';
import { noteOnAbsent, notesOn, notesOnHidden, notesOnSampling } from './notes.ts';
import { Evaluation } from './observations.ts';
import { NAMED_BY, type NamedBy, namedPeriods, type Period, secondsOf, spansOf } from './periods.ts';
import { readTable } from './read.ts';
import { planOf, scrapeInterval, stateWindow } from './reading-plan.ts';
import { readingsOf } from './readings.ts';
import { notesOnNames } from './renamed.ts';
import { resolved } from './resolved-metrics.ts';
import { type PeriodRows, rowsOf } from './rows.ts';
import { sampledShares } from './sampled-shares.ts';
import type { Subject } from './subject.ts';
import { findSubjects } from './subjects.ts';
import { techniqueTimes } from './techniques.ts';
import { hiddenIo } from './visibility.ts';
import { workOf } from './work.ts';

/** Configurations by their times. */
export type GivenTimes = readonly { readonly name: string; readonly span: Span }[];

export interface Question {
  /** Pattern of the VMs' names. */
  readonly vm: string;
  /** Pattern of the label `instance`. */
  readonly host: string | undefined;
  /** The source of the configurations: a metric, or given times. */
  readonly by: NamedBy | GivenTimes;
  /** The time in which a metric shows the configurations. */
  readonly time: Span;
  readonly metrics: readonly MetricDefinition[];
  /** Warm-up: seconds after a change that are left out. */
  readonly warmUp: number;
  /** Notes on the times, for the first configuration. */
  readonly notes: readonly string[];
}

/** Effects beyond the archive. */
export interface Surroundings {
  /** @param share of the work that is done, 0 to 1 */
  onProgress(share: number): void;
  /** Warnings of the source: partial responses, a clock that differs. */
  warnings(): readonly string[];
}

/** There are fewer than two configurations. */
export class NothingToCompare extends ConfigError {}

/** A configuration that was seen for a shorter time is left out. */
const MIN_SECONDS = 60;
/** A report has no room for more. */
const MAX_CONFIGURATIONS = 12;

/** Reads the samples of the VMs in each configuration. @throws ConfigError if the question cannot be answered */
export async function comparisonOf(
  archive: Archive,
  question: Question,
  surroundings: Surroundings,
): Promise<Comparison> {
  const { vm, time, by, metrics } = question;
  const times = typeof by === 'string' ? [time] : by.map(({ span }) => span);
  const whole = {
    start: Math.min(...times.map(({ start }) => start)),
    end: Math.max(...times.map(({ end }) => end)),
  };
  const subjects = await findSubjects(archive, question, whole);
  const interval = await scrapeInterval(archive, subjects, whole);
  if (interval === undefined)
    throw new ConfigError(`${archive.name} has fewer than two scrapes of ${vm} in this time`);
  const { periods, notes } =
    typeof by === 'string'
      ? chosen(
          await namedPeriods(archive, by, subjects, time, stateWindow(time, interval, subjects.length)),
          by,
        )
      : { periods: by.map(({ name, span }) => periodOfAll(name, span, subjects)), notes: [] };
  const plan = planOf(periods, interval, archive);
  const { onProgress } = surroundings;
  const table = await readTable(archive, readingsOf(termsOf(metrics)), subjects, plan, {
    interval,
    onProgress,
  });
  const techniques = await techniqueTimes(archive, subjects, periods, interval);
  const hidden = await hiddenIo(archive, subjects, periods, interval);
  const sampled = await sampledShares(archive, subjects, periods, interval);
  const renamed = await notesOnNames(archive, subjects, whole);
  const rows = periods.map((period) => rowsOf(table, subjects, period));
  checkSamples(archive, rows);
  const evaluation = new Evaluation(table, rows);
  const found = resolved(metrics, table).map((metric) => ({
    metric,
    byPeriod: rows.map((each) => evaluation.observations(metric.terms, each)),
  }));
  const measured = found.filter(({ byPeriod }) => byPeriod.some((each) => each.length > 0));
  const known = measured.map(({ metric }) => metric);
  const absent = metrics.map(({ id }) => id).filter((id) => !known.some((metric) => metric.id === id));
  const first = [...question.notes, ...notes, ...renamed, ...planNotes(plan.window), ...noteOnAbsent(absent)];
  const configurations: Configuration[] = [];
  for (const [i, each] of rows.entries()) {
    const observations = new Map(
      measured
        .map(({ metric, byPeriod }) => [metric.id, byPeriod[i] ?? []] as const)
        .filter(([, list]) => list.length > 0),
    );
    const shares = sampled.get(each.period) ?? new Map<string, number>();
    const own = [
      ...notesOn(each, subjects, evaluation, known, observations),
      ...notesOnSampling(shares, each, evaluation),
      ...notesOnHidden(hidden.get(each.period) ?? new Map()),
    ];
    const present = subjects.filter(({ key }) => each.rows.has(key));
    configurations.push({
      name: each.period.name,
      vms: distinct(present.map((subject) => subject.vm)),
      hosts: distinct(present.map(({ instance }) => instance)),
      spans: spansOf(each.period),
      interval: each.interval,
      warmUp: question.warmUp,
      observations,
      work: workOf(evaluation, each, await archive.otherVmsCpu?.(subjects, spansOf(each.period), interval)),
      techniques: techniques.get(each.period) ?? new Map(),
      notes: i === 0 ? [...first, ...surroundings.warnings(), ...own] : own,
    });
  }
  return { subject: vm, metrics: known.map(({ terms: _, ...metric }) => metric), configurations };
}

function periodOfAll(name: string, span: Span, subjects: readonly Subject[]): Period {
  return { name, spans: new Map(subjects.map(({ key }) => [key, [span]])) };
}

/** The periods to compare, in the order of the report: stages in the paper's order, others by time. */
function chosen(found: readonly Period[], by: NamedBy): { periods: readonly Period[]; notes: string[] } {
  const long = found.filter((period) => secondsOf(period) >= MIN_SECONDS);
  const kept = new Set([...long].sort((a, b) => secondsOf(b) - secondsOf(a)).slice(0, MAX_CONFIGURATIONS));
  const periods = found.filter((period) => kept.has(period));
  const left = found.filter((period) => !kept.has(period));
  if (periods.length < 2) {
    const seen = found
      .map((each) => `${JSON.stringify(each.name)} (${Math.round(secondsOf(each))} s)`)
      .join(', ');
    throw new NothingToCompare(
      `--by ${by}: ${NAMED_BY[by].metric} shows fewer than two ${by}s of at least ${MIN_SECONDS} s in this time${seen === '' ? '' : `: ${seen}`}: give a longer --last, or --before and --after`,
    );
  }
  const rank = ({ name }: Period): number =>
    by === 'stage' && rankOf(name) >= 0 ? rankOf(name) : Number.MAX_SAFE_INTEGER;
  const notes = left.map(
    (each) => `Left out: ${JSON.stringify(each.name)}, seen for ${Math.round(secondsOf(each))} s.`,
  );
  return { periods: [...periods].sort((a, b) => rank(a) - rank(b)), notes };
}

function planNotes(window: number | undefined): string[] {
  return window === undefined
    ? []
    : [
        `The time is long: the server summed the counters over windows of ${window} s, and an observation is a window.`,
      ];
}

function checkSamples({ name }: Archive, rows: readonly PeriodRows[]): void {
  const empty = rows.filter((each) => [...each.rows.values()].every((list) => list.length === 0));
  if (empty.length === 0) return;
  const which = empty.map(({ period }) => JSON.stringify(period.name)).join(' and ');
  throw new ConfigError(`${name} has no two consecutive scrapes in ${which}: give another time`);
}

function distinct(all: readonly string[]): string[] {
  return [...new Set(all)];
}
