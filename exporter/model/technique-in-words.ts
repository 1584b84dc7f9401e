import { durationText } from '../../kernel/units.ts';
import type { EvidenceName } from '../metrics/techniques.ts';
import { wordFor } from './stage.ts';
import { type Evidence, type TechniqueVerdict, UNKNOWN_REASONS } from './technique.ts';

const UNITS: Readonly<Record<EvidenceName, string>> = {
  pinned_threads: 'of the threads pinned where expected',
  kicks_per_io: 'kicks per I/O',
  interrupts_per_io: 'interrupts per I/O',
  ios_per_kick: 'I/Os a kick',
  used_queues: 'queues in use',
  queue_locality: "of a queue's kicks from its top vCPU",
};
const SHARES: ReadonlySet<EvidenceName> = new Set(['pinned_threads', 'queue_locality']);

function numberOf(name: EvidenceName, value: number): string {
  if (SHARES.has(name)) return `${Math.round(value * 100)}%`;
  return value >= 10 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(2)));
}

function unitOf(name: EvidenceName, value: number): string {
  return name === 'used_queues' && value === 1 ? 'queue in use' : UNITS[name];
}

/** `3 kicks per I/O (in force below 0.5; 12,000 I/Os in 10 s, ±0.03)`. */
function evidenceInWords({ name, value, threshold, wants, error, seconds, ios }: Evidence): string {
  const limit = `${wants === 'below' ? 'below' : 'from'} ${numberOf(name, threshold)}`;
  const count =
    ios === undefined ? '' : `; ${ios.toLocaleString('en-US')} I/Os in ${Math.round(seconds ?? 0)} s`;
  const off = error === 0 ? '' : `, ±${numberOf(name, error)}`;
  return `${numberOf(name, value)} ${unitOf(name, value)} (in force ${limit}${count}${off})`;
}

/** The decisive number, else the configuration: `3 kicks per I/O (in force below 0.5; ...), was 0.11`. */
export function proofInWords({ state, evidence, settings, was }: TechniqueVerdict): string {
  const [first] = evidence;
  if (first === undefined) return settings.join(', ');
  const isComparable = state === 'lost' && was !== undefined && was.name === first.name;
  return `${evidenceInWords(first)}${isComparable ? `, was ${numberOf(was.name, was.value)}` : ''}`;
}

/** `in_force -> lost: 3 kicks per I/O (in force below 0.5; ...), was 0.11`. */
export function changeInWords(verdict: TechniqueVerdict, from: string): string {
  const proof = proofInWords(verdict);
  return `${from} -> ${verdict.state}${proof === '' ? '' : `: ${proof}`}`;
}

/** `not judged for 4 min: too few I/Os to measure` */
function unjudgedInWords({ seconds, reason }: NonNullable<TechniqueVerdict['unjudged']>): string {
  const span = seconds === undefined ? 'since the exporter started' : `for ${durationText(seconds)}`;
  return `not judged ${span}: ${UNKNOWN_REASONS[reason]}`;
}

/** `polling: lost since 2026-11-27T13:52:00Z: 3 kicks per I/O (...); configured: poll-max-ns of io0: 32768`. */
export function verdictInWords(verdict: TechniqueVerdict): string {
  const { technique, state, since, evidence, settings, reason, configured, unjudged } = verdict;
  const when = state === 'unknown' ? '' : ` since ${new Date(since).toISOString().replace(/\.\d+/, '')}`;
  const why = reason === undefined ? [] : [UNKNOWN_REASONS[reason]];
  const isOnlyConfigured = configured === true && evidence.length === 0 && technique !== 'affinity';
  const asked = settings.length === 0 ? [] : [`configured: ${settings.join(', ')}`];
  const parts = [
    ...why,
    ...(unjudged === undefined ? [] : [unjudgedInWords(unjudged)]),
    ...evidence.map(evidenceInWords),
    ...asked,
    ...(isOnlyConfigured && unjudged === undefined ? ['not measured now'] : []),
  ];
  return `${wordFor(technique)}: ${state.replace('_', ' ')}${when}${parts.length === 0 ? '' : `: ${parts.join('; ')}`}`;
}
