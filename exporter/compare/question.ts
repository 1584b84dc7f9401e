import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import type { GivenTimes, Question } from './comparison.ts';
import { groupingOf } from './fleet/grouping.ts';
import { FLEET_METRICS } from './fleet/metrics.ts';
import type { FleetQuestion } from './fleet/read.ts';
import { METRICS } from './metrics.ts';
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
  readonly warmUp?: string;
}

const DEFAULT_LAST = '7d';
/**
 * A state of a technique takes two judgements of 10 s (decision 0033), QEMU's and KVM's polling times adapt within a
 * second, and fio opens its files in the first seconds.
 */
const WARM_UP = '60s';
/** Clocks differ by this much. */
const SKEW = 60;

/**
 * @param now seconds of the epoch
 * @param gated metrics of thresholds: they are compared in any case
 * @throws ConfigError
 */
export function questionOf(flags: QuestionFlags, now: number, gated: readonly string[] = []): Question {
  const { host, by, before, after, last, from, to } = flags;
  const vm = vmOf(flags);
  const metrics = metricsOf(flags.metric ?? [], gated, METRICS);
  const notes = zoneNotes(
    [before, after].flatMap((each) => each?.split('/') ?? []).concat(from ?? [], to ?? []),
  );
  const common = { vm, host, metrics, warmUp: durationOf('--warm-up', flags.warmUp ?? WARM_UP) };
  if (by === undefined && before === undefined && after === undefined)
    throw new ConfigError(
      'give --by stage, --by phase, --by label=NAME, or --before FROM/TO with --after FROM/TO',
    );
  if (by !== undefined) {
    if (before !== undefined || after !== undefined)
      throw new ConfigError('--by does not go with --before and --after: give one');
    return { ...common, by: namedBy(by), time: timeRange(last, from, to, now), notes };
  }
  if (before === undefined || after === undefined)
    throw new ConfigError('--before and --after go together: give both');
  const other = Object.entries({ last, from, to }).find(([, value]) => value !== undefined)?.[0];
  if (other !== undefined)
    throw new ConfigError(`--${other} has no effect with --before and --after: remove it`);
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

/**
 * The question on saved outputs, which have their times.
 *
 * @throws ConfigError
 */
export function questionOnOutputs(
  flags: QuestionFlags,
  times: GivenTimes,
  gated: readonly string[],
): Question {
  const { by, before, after, last, from, to, warmUp } = flags;
  const given = { by, before, after, last, from, to, 'warm-up': warmUp };
  const other = Object.entries(given).find(([, value]) => value !== undefined);
  if (other !== undefined)
    throw new ConfigError(`--${other[0]} has no effect with saved outputs of /metrics: remove it`);
  const spans = times.map(({ span }) => span);
  return {
    vm: vmOf(flags),
    host: flags.host,
    by: times,
    time: {
      start: Math.min(...spans.map(({ start }) => start)),
      end: Math.max(...spans.map(({ end }) => end)),
    },
    metrics: metricsOf(flags.metric ?? [], gated, METRICS),
    warmUp: 0,
    notes: [
      'Each configuration is one sample, with its warm-up, so that no interval can be given. The time of a saved output is when its file was last written.',
    ],
  };
}

const LABEL = 'label=';

/**
 * The question on the hosts of a fleet; undefined if `--by` is not `label=NAME`.
 *
 * @throws ConfigError
 */
export function fleetQuestionOf(
  flags: QuestionFlags,
  now: number,
  gated: readonly string[],
): FleetQuestion | undefined {
  const { by, vm, host, before, after, last, from, to } = flags;
  if (by === undefined || !by.startsWith(LABEL)) return undefined;
  const label = by.slice(LABEL.length);
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label))
    throw new ConfigError(`--by: ${JSON.stringify(by)} names no label: give one such as label=kernel`);
  const other = Object.entries({ vm, before, after }).find(([, value]) => value !== undefined);
  if (other !== undefined) throw new ConfigError(`--${other[0]} has no effect with --by label=: remove it`);
  return {
    grouping: groupingOf(label),
    host,
    time: timeRange(last, from, to, now),
    metrics: metricsOf(flags.metric ?? [], gated, FLEET_METRICS),
    warmUp: durationOf('--warm-up', flags.warmUp ?? WARM_UP),
    notes: zoneNotes([from, to].flatMap((each) => each ?? [])),
  };
}

/** @throws ConfigError */
function vmOf({ vm }: QuestionFlags): string {
  if (vm === undefined || vm === '')
    throw new ConfigError("--vm is missing: give a VM's name or a pattern such as 'web-*'");
  return vm;
}

function namedBy(by: string): NamedBy {
  if (by === 'stage' || by === 'phase') return by;
  const words = Object.keys(NAMED_BY);
  throw new ConfigError(
    `--by: ${JSON.stringify(by)} is not allowed: give ${words.join(' or ')} for VMs, or label=NAME for hosts${didYouMean(by, words)}`,
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

function metricsOf<M extends { readonly id: string }>(
  ids: readonly string[],
  gated: readonly string[],
  all: readonly M[],
): M[] {
  const known = all.map(({ id }) => id);
  for (const [flag, given] of [
    ['--metric', ids],
    ['--fail-if', gated],
  ] as const) {
    const unknown = given.find((id) => !known.includes(id));
    if (unknown === undefined) continue;
    const hint = didYouMean(unknown, known) || `: there are ${known.join(', ')}`;
    throw new ConfigError(`${flag}: no metric ${JSON.stringify(unknown)}${hint}`);
  }
  return ids.length === 0 ? [...all] : all.filter(({ id }) => ids.includes(id) || gated.includes(id));
}

function zoneNotes(texts: readonly string[]): string[] {
  if (!texts.some(isLocal)) return [];
  return [`Times without a zone are local: ${new Intl.DateTimeFormat().resolvedOptions().timeZone}.`];
}
