import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import type { Question } from './comparison.ts';
import { METRICS, type MetricDefinition } from './metrics.ts';
import type { Span } from './model.ts';
import { NAMED_BY, type NamedBy } from './periods.ts';
import { durationOf, isLocal, spanOf, timeOf } from './times.ts';

/** The flags of `compare` that say what to compare. */
export interface QuestionFlags {
  readonly vm?: string;
  readonly host?: string;
  readonly by?: string;
  readonly before?: string;
  readonly after?: string;
  readonly last?: string;
  readonly from?: string;
  readonly to?: string;
  readonly metric?: readonly string[];
}

const DEFAULT_LAST = '7d';
/** Clocks differ by this much. */
const SKEW = 60;

/**
 * @param now seconds of the epoch
 * @param gated metrics of thresholds: they are compared in any case
 * @throws ConfigError
 */
export function questionOf(flags: QuestionFlags, now: number, gated: readonly string[] = []): Question {
  const { vm, host, by, before, after, last, from, to } = flags;
  if (vm === undefined || vm === '')
    throw new ConfigError("--vm is missing: give a VM's name or a pattern such as 'web-*'");
  const metrics = metricsOf(flags.metric ?? [], gated);
  const notes = zoneNotes(
    [before, after].flatMap((each) => each?.split('/') ?? []).concat(from ?? [], to ?? []),
  );
  const common = { vm, host, metrics };
  if (by === undefined && before === undefined && after === undefined)
    throw new ConfigError('give --by stage, --by phase, or --before FROM/TO with --after FROM/TO');
  if (by !== undefined) {
    if (before !== undefined || after !== undefined)
      throw new ConfigError('--by does not go with --before and --after: give one');
    return { ...common, by: namedBy(by), time: timeRange(last, from, to, now), notes };
  }
  if (before === undefined || after === undefined)
    throw new ConfigError('--before and --after go together: give both');
  const other = Object.entries({ last, from, to }).find(([, value]) => value !== undefined)?.[0];
  if (other !== undefined)
    throw new ConfigError(`--${other} has no effect with --before and --after: leave it out`);
  const [early, late] = [spanOf('--before', before), spanOf('--after', after)];
  if (early.start < late.end && late.start < early.end)
    throw new ConfigError('--before and --after overlap: give times that do not');
  for (const [flag, { end }] of [
    ['--before', early],
    ['--after', late],
  ] as const)
    if (end > now + SKEW) throw new ConfigError(`${flag} ends in the future: give a time that is past`);
  const isReversed = late.end <= early.start;
  return {
    ...common,
    by: [
      { name: 'before', span: early },
      { name: 'after', span: late },
    ],
    time: { start: Math.min(early.start, late.start), end: Math.max(early.end, late.end) },
    notes: [...notes, ...(isReversed ? ['The time of --before is later than the time of --after.'] : [])],
  };
}

function namedBy(by: string): NamedBy {
  if (by === 'stage' || by === 'phase') return by;
  const words = Object.keys(NAMED_BY);
  throw new ConfigError(
    `--by: ${JSON.stringify(by)} is not allowed: give ${words.join(' or ')}${didYouMean(by, words)}`,
  );
}

function timeRange(
  last: string | undefined,
  from: string | undefined,
  to: string | undefined,
  now: number,
): Span {
  if (last !== undefined && from !== undefined)
    throw new ConfigError('--last does not go with --from: give one');
  const end = to === undefined ? now : timeOf('--to', to);
  if (end > now + SKEW) throw new ConfigError('--to is in the future: give a time that is past');
  const start =
    from === undefined ? end - durationOf('--last', last ?? DEFAULT_LAST) : timeOf('--from', from);
  if (start >= end) throw new ConfigError('--from is not before --to');
  return { start: Math.floor(start), end: Math.floor(end) };
}

function metricsOf(ids: readonly string[], gated: readonly string[]): MetricDefinition[] {
  const known = METRICS.map(({ id }) => id);
  for (const [flag, all] of [
    ['--metric', ids],
    ['--fail-if', gated],
  ] as const) {
    const unknown = all.find((id) => !known.includes(id));
    if (unknown === undefined) continue;
    const hint = didYouMean(unknown, known) || `: there are ${known.join(', ')}`;
    throw new ConfigError(`${flag}: no metric ${JSON.stringify(unknown)}${hint}`);
  }
  return ids.length === 0 ? [...METRICS] : METRICS.filter(({ id }) => ids.includes(id) || gated.includes(id));
}

function zoneNotes(texts: readonly string[]): string[] {
  if (!texts.some(isLocal)) return [];
  return [`Times without a zone are local: ${new Intl.DateTimeFormat().resolvedOptions().timeZone}.`];
}
