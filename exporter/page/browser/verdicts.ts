import type { Counts, LiveTechnique, LiveVm } from '../live.ts';
import { count, percent, words } from './format.ts';
import type { Hour } from './line-path.ts';

const NAMES: Readonly<Record<string, string>> = {
  affinity: 'pinning',
  exitless_polling: 'polling',
  parallel_batching: 'batching',
  pinned_queues: 'queue pinning',
};

/** `parallel batching`; `unknown` or `none` if there is no stage; undefined if techniques are not judged. */
export function stageInWords({ stage, techniques }: LiveVm): string | undefined {
  if (stage !== undefined) return words(stage);
  if (techniques.length === 0) return undefined;
  return techniques.some(({ state }) => state === 'unknown') ? 'unknown' : 'none';
}

/** The decisive numbers. Of kicks and interrupts the larger one decides. */
const NUMBERS: readonly (readonly [name: string, unit: string, isShare: boolean])[] = [
  ['pinned_threads', 'of the threads pinned', true],
  ['kicks_per_io', 'kicks/I/O', false],
  ['interrupts_per_io', 'interrupts/I/O', false],
  ['ios_per_kick', 'I/Os/kick', false],
  ['queue_locality', "of a queue's kicks from one vCPU", true],
];

const AGES = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** A judgement of this age counts as current. */
const FRESH = 600;

export function nameOf(technique: string): string {
  return NAMES[technique] ?? words(technique);
}

/**
 * `3 kicks/I/O, was 0.11`; empty without a measurement, or if the value is as before: the technique is returning, or
 * another part of it is lost.
 */
function numbersOf(evidence: Counts, was: Counts): string {
  const found = NUMBERS.flatMap(([name, unit, isShare]) => {
    const value = evidence[name];
    return value === undefined ? [] : [{ name, unit, value, text: isShare ? percent : count }];
  });
  const [most] = found.sort((a, b) => b.value - a.value);
  if (most === undefined) return '';
  const [now, before] = [most.value, was[most.name]].map((value) =>
    value === undefined ? '' : most.text(value),
  );
  return now === before ? '' : `${now} ${most.unit}${before === '' ? '' : `, was ${before}`}`;
}

/** `polling LOST 13:52: 3 kicks/I/O, was 0.11`. */
export function lossInWords({ technique, since, evidence, was }: LiveTechnique): string {
  const at = new Date(since * 1000);
  const clock = [at.getHours(), at.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
  const numbers = numbersOf(evidence, was);
  return `${nameOf(technique)} LOST ${clock}${numbers === '' ? '' : `: ${numbers}`}`;
}

/** Minutes before a loss, as the base of the comparison. */
const BASE_MINUTES = 10;

/** `I/O -32%` since a technique was lost; empty if one of the two sides is unknown. */
function changeSince(since: number, now: number, hour: Hour | undefined): string {
  const iops = hour?.['iops'] ?? [];
  const lost = iops.length - Math.ceil((now - since) / 60);
  const before = mean(iops.slice(Math.max(0, lost - BASE_MINUTES), Math.max(0, lost)));
  const after = mean(iops.slice(Math.max(0, lost + 1)));
  if (before === undefined || after === undefined || before === 0) return '';
  const change = Math.round((after / before - 1) * 100);
  return `I/O ${change < 0 ? '' : '+'}${change}%`;
}

function mean(values: readonly (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length;
}

/**
 * `pinning in force 6 d · polling LOST 13:52: 3 kicks/I/O, was 0.11 · I/O -32%`. Techniques that are off are left
 * out.
 *
 * @param now seconds of the epoch
 * @param hour the I/Os of the last hour, by minute
 */
export function verdictLine(techniques: readonly LiveTechnique[], now: number, hour?: Hour): string {
  const parts = techniques.flatMap((each) => {
    const { technique, state, since } = each;
    if (state === 'off') return [];
    if (state === 'lost') return [`${lossInWords(each)}${unjudgedInWords(each)}`];
    const known = state === 'unknown' ? '' : ` ${age(now - since)}${unjudgedInWords(each)}`;
    return [`${nameOf(technique)} ${words(state)}${known}`];
  });
  const losses = techniques.filter(({ state }) => state === 'lost').map(({ since }) => since);
  const change = losses.length === 0 ? '' : changeSince(Math.min(...losses), now, hour);
  return [...parts, change].filter(Boolean).join(' · ') || 'no technique in force';
}

/** ` (not judged for 3 h)`, because its I/O is idle or its monitor silent; empty for a current judgement. */
function unjudgedInWords({ unjudged }: LiveTechnique): string {
  if (unjudged === undefined || (unjudged.seconds ?? FRESH) < FRESH) return '';
  const span = unjudged.seconds === undefined ? 'since the exporter started' : `for ${age(unjudged.seconds)}`;
  return ` (not judged ${span})`;
}

/** `6 d`, `3 min`. */
function age(seconds: number): string {
  const [unit, size] = AGES.find((each) => seconds >= each[1]) ?? ['s', 1];
  return `${Math.max(0, Math.floor(seconds / size))} ${unit}`;
}
