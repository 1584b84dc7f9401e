import type { LiveCauses } from '../live.ts';
import { count, duration } from './format.ts';

const WORDS: Readonly<Record<string, string>> = {
  quota: 'CPU quota',
  run_queue_wait: 'run-queue wait',
  interrupts: 'interrupts of the host',
  exits: 'exits',
  device: 'device latency',
  device_stalled: 'device stalled',
  frequency: 'CPU frequency',
  memory_pressure: 'memory pressure',
  memory_swap: 'memory in swap',
  numa_balancing: 'NUMA balancing',
  huge_pages: 'huge pages lost',
  io_pressure: 'I/O pressure',
  steal: 'steal on the host',
  lost_pin: 'lost pin',
  lost_technique: 'lost technique',
  apicv_inhibited: 'APICv inhibited',
  migration: 'live migration',
  phase: 'declared phase',
};

export interface CauseInWords {
  readonly name: string;
  /** `up to 86%`: share of the lost time that it could explain. */
  readonly share: string;
  readonly text: string;
}

/** The first line of the answer: the change of a VM's I/O. */
export function worseningInWords({ isKnown, worsening }: LiveCauses, clock: (ms: number) => string): string {
  if (worsening === undefined)
    return isKnown
      ? 'Its I/O is not worse than before.'
      : 'Unknown: too few of its I/Os were counted in the last hour.';
  const { metric, from, to, since } = worsening;
  const change = `${to < from ? '' : '+'}${Math.round((to / from - 1) * 100)}%`;
  return metric === 'iops'
    ? `Its I/O fell from ${count(from)} to ${count(to)} a second (${change}) at ${clock(since * 1000)}.`
    : `The latency of its I/O rose from ${duration(from)} to ${duration(to)} (${change}) at ${clock(since * 1000)}.`;
}

/** Strongest first. */
export function causesInWords({ causes }: LiveCauses): CauseInWords[] {
  return causes.map(({ cause, explains, text }) => ({
    name: WORDS[cause] ?? cause,
    share: `up to ${Math.max(1, Math.round(explains * 100))}%`,
    text,
  }));
}

/** The last line: the unknown measures; undefined if all are known. */
export function restInWords({ worsening, causes, unknown }: LiveCauses): string | undefined {
  if (worsening === undefined) return undefined;
  const nothing =
    causes.length === 0 ? 'Nothing that this exporter reads changed: the guest may request less I/O. ' : '';
  const missing = unknown.map((cause) => WORDS[cause] ?? cause).join(', ');
  return `${nothing}${missing === '' ? '' : `Not known: ${missing}.`}`.trim() || undefined;
}
