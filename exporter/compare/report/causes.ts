import { type Cause, rankCauses } from '../../assessment/cause/diagnosis.ts';
import { unknownIn } from '../../assessment/cause/losses.ts';
import { EXIT_SECONDS, type Measured } from '../../assessment/cause/measures.ts';
import { TECHNIQUES } from '../../metrics/techniques.ts';
import type { HostEvent } from '../../model/host-event.ts';
import { wordFor } from '../../model/stage.ts';
import type { AssessedConfiguration, Assessment } from '../statistics/assessment.ts';
import { percent } from './numbers.ts';

/** A technique is lost in a configuration if it is lost for half of the time. */
const MOST = 0.5;

/** The changes in configurations with worse I/O. Tenants choose the names: escape them. */
export interface CauseText {
  readonly name: string;
  readonly base: string;
  readonly text: string;
}

/** One entry for each configuration whose I/O is worse than in the first. */
export function causeTexts({ configurations }: Assessment): CauseText[] {
  return configurations.flatMap((configuration) => {
    const { name, againstFirst } = configuration;
    const first = configurations.find((each) => each.name === againstFirst?.base);
    const loss = lossOf(configuration);
    // A comparison of hosts reads no causes.
    const isOfHosts = configuration.changesOfHosts !== undefined;
    if (first === undefined || loss === undefined || isOfHosts) return [];
    const [before, after] = [measuredIn(first), measuredIn(configuration)];
    const causes = rankCauses({ before, after, loss, events: lossesOf(first, configuration) });
    const unknown = unknownIn(before, after).map((cause) => cause.replaceAll('_', ' '));
    return { name, base: first.name, text: textOf(causes, unknown) };
  });
}

function textOf(causes: readonly Cause[], unknown: readonly string[]): string {
  const found = causes.map(({ explains, text }) => `${text} (up to ${percent(explains)} of the loss)`);
  const changed = found.length === 0 ? 'nothing that this report reads' : found.join('; ');
  return `Changed with it, strongest first: ${changed}. Not known: ${unknown.join(', ')}.`;
}

/** Share of the time of an I/O that is lost; undefined if the I/O is not worse, or the work was another one. */
function lossOf({ againstFirst }: AssessedConfiguration): number | undefined {
  for (const metric of ['iops', 'latency_mean']) {
    const change = againstFirst?.changes.get(metric);
    const { from, to } = change ?? {};
    if (change?.verdict !== 'worse' || !change.isComparable || from === undefined || to === undefined)
      continue;
    const loss = metric === 'iops' ? 1 - to / from : 1 - from / to;
    if (loss > 0 && loss <= 1) return loss;
  }
  return undefined;
}

/** The report has the waits of all threads together. */
function measuredIn({ estimates, work }: AssessedConfiguration): Measured {
  const of = (id: string): number | undefined => estimates.get(id)?.value;
  const [cpu, throttled, wait] = [of('cpu'), of('throttled'), of('run_queue_wait')];
  const [exits, ios, vcpus] = [of('exits_per_io'), of('iops'), work.vcpus];
  const found: { -readonly [M in keyof Measured]: number } = {};
  // The scheduler counts throttled time as wait. Percent of a CPU.
  const [run, stopped] = [(cpu ?? 0) / 100, (throttled ?? 0) / 100];
  if (cpu !== undefined && throttled !== undefined) found.quota = shareOf(stopped, run);
  if (cpu !== undefined && wait !== undefined) found.wait = shareOf(Math.max(0, wait * run - stopped), run);
  if (exits !== undefined && ios !== undefined && vcpus !== undefined && vcpus > 0)
    found['exit time'] = (exits * ios * EXIT_SECONDS) / vcpus;
  return found;
}

function shareOf(taken: number, run: number): number {
  return taken === 0 ? 0 : taken / (run + taken);
}

/** Techniques that were lost for most of the time, and not in the first configuration. */
function lossesOf(first: AssessedConfiguration, now: AssessedConfiguration): HostEvent[] {
  const lostIn = ({ techniques }: AssessedConfiguration, technique: (typeof TECHNIQUES)[number]): number =>
    techniques.get(technique)?.get('lost') ?? 0;
  return TECHNIQUES.flatMap((technique): HostEvent[] => {
    const share = lostIn(now, technique);
    if (share < MOST || lostIn(first, technique) >= MOST) return [];
    return [
      { kind: 'technique_lost', vm: '', what: wordFor(technique), evidence: `${percent(share)} of the time` },
    ];
  });
}
