import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import * as thresholds from '../alerts/thresholds.ts';
import { type Incident, incidents } from '../lab/simhost/scenarios/incidents.ts';
import { normal } from '../lab/simhost/scenarios/normal.ts';
import type { Scenario, ScenarioOptions } from '../lab/simhost/scenarios/scenario.ts';
import type { AlertEpisode } from './history/alerts.ts';
import { BlockSink } from './history/chunks.ts';
import { generateHistory } from './history/generate.ts';
import { recordRules } from './history/record.ts';
import { secondsOf } from './history/rules.ts';

// `npm run alert-study`: six hours of normal life in which no alert may fire, and six more with incidents, each of which is
// to be found in time. Prints docs/alerts.md's tables; exits 1 when an alert is false, missing or late.

const { values: options } = parseArgs({
  options: {
    hours: { type: 'string', default: '6' },
    step: { type: 'string', default: '15' },
    seeds: { type: 'string', default: '1' },
  },
});
const hours = Number(options.hours);
const step = Number(options.step);
const START = 1_760_000_400;
const HOUR = 3600;

/** A scrape, and an evaluation after it. */
const SLACK = 2 * step;
const { WINDOW } = thresholds;

/** What an incident is to be told by, and how soon after it begins; after its end it may be told for as long as it is kept. */
interface Expected {
  readonly alert: string;
  readonly within: number;
}

const after = (...durations: readonly string[]): number =>
  durations.reduce((sum, duration) => sum + secondsOf(duration), SLACK);

const EXPECTED: Readonly<Record<Incident['kind'], Expected>> = {
  exit_storm: { alert: 'KvmExitStorm', within: after(WINDOW, thresholds.exitStorm.for) },
  polling_lost: { alert: 'KvmPollingRegressed', within: after(WINDOW, thresholds.pollingRegressed.for) },
  halt_poll_waste: { alert: 'KvmHaltPollWaste', within: after(WINDOW, thresholds.haltPollWaste.for) },
  vcpu_starved: { alert: 'KvmVcpuStarved', within: after(WINDOW, thresholds.vcpuStarved.for) },
  drift_widened: { alert: 'KvmAffinityDrift', within: after(thresholds.affinityDrift.for) },
  drift_shared_cpu: { alert: 'KvmThreadsShareCpu', within: after(thresholds.threadsShareCpu.for) },
  drift_other_node: { alert: 'KvmCrossNodeIo', within: after(thresholds.crossNodeIo.for) },
  disk_stall: { alert: 'KvmIoStalled', within: after(thresholds.ioStalled.window, thresholds.ioStalled.for) },
  disk_slow: { alert: 'KvmDiskLatencyHigh', within: after(WINDOW, thresholds.diskLatency.for) },
};

/** Sizes that are below a threshold by themselves, however long they last. */
const TOO_SMALL: Partial<Record<Incident['kind'], (incident: Incident) => boolean>> = {};

/** What may be told of an incident besides: consequences, which are true. */
const CONSEQUENCES: Partial<Record<Incident['kind'], readonly string[]>> = {
  exit_storm: ['KvmVcpuStarved', 'KvmExitStormAgainstBaseline'],
  polling_lost: ['KvmStageLost', 'KvmIoThreadSaturated'],
  vcpu_starved: ['KvmDiskLatencyHigh'],
  drift_widened: ['KvmStageLost', 'KvmVcpuStarved'],
  drift_shared_cpu: ['KvmAffinityDrift', 'KvmStageLost', 'KvmVcpuStarved', 'KvmPollingRegressed'],
  drift_other_node: ['KvmAffinityDrift', 'KvmStageLost'],
  disk_stall: ['KvmStageLost', 'KvmQueueImbalance', 'KvmDiskLatencyHigh'],
  disk_slow: ['KvmStageLost'],
};

interface Study {
  readonly incidents: readonly Incident[];
  readonly fired: readonly AlertEpisode[];
}

async function study(make: (options: ScenarioOptions) => Scenario, seed: number): Promise<AlertEpisode[]> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kvm-telemetry-alerts-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const data = join(folder, 'data');
  const sink = new BlockSink(folder, data);
  await generateHistory({ scenario: make, hours, stepSeconds: step, seed, start: START, sink });
  await sink.end();
  const rules = [...recordingFile().groups, ...alertingFile().groups].flatMap((group) => group.rules);
  const times = { from: START, to: START + hours * HOUR, step };
  const episodes = await recordRules(data, rules, times).finally(remove);
  process.off('exit', remove);
  return episodes.filter(({ firingAt }) => firingAt !== undefined);
}

const begins = ({ from }: Incident): number => START + from;
const ends = ({ to }: Incident): number => START + to;

/** Whether this alert tells of this incident: of its VM, and begun while it lasted or a window later. */
function tellsOf(incident: Incident, { labels, firingAt = 0 }: AlertEpisode): boolean {
  const isThen = firingAt >= begins(incident) && firingAt <= ends(incident) + secondsOf(WINDOW) + SLACK;
  return labels['vm'] === incident.vm && isThen;
}

function isExplained({ incidents: all }: Study, episode: AlertEpisode): boolean {
  return all.some(
    (incident) =>
      tellsOf(incident, episode) &&
      [EXPECTED[incident.kind].alert, ...(CONSEQUENCES[incident.kind] ?? [])].includes(episode.alert),
  );
}

type Verdict = 'found' | 'late' | 'missed' | 'too short' | 'too small';

function judge(incident: Incident, fired: readonly AlertEpisode[]): { verdict: Verdict; delay?: number } {
  const { alert, within } = EXPECTED[incident.kind];
  const own = fired.find((episode) => episode.alert === alert && tellsOf(incident, episode));
  if (own?.firingAt !== undefined) {
    const delay = own.firingAt - begins(incident);
    return { verdict: delay > within ? 'late' : 'found', delay };
  }
  if (TOO_SMALL[incident.kind]?.(incident) === true) return { verdict: 'too small' };
  return { verdict: incident.to - incident.from < within ? 'too short' : 'missed' };
}

function minutes(seconds: number | undefined): string {
  return seconds === undefined ? '' : `${(seconds / 60).toFixed(1)} min`;
}

function report(one: Study): string {
  const rows = one.incidents.map((incident) => {
    const { verdict, delay } = judge(incident, one.fired);
    const { kind, vm, size, from, to } = incident;
    if (verdict === 'late' || verdict === 'missed') process.exitCode = 1;
    return [kind, vm, String(size), minutes(to - from), EXPECTED[kind].alert, verdict, minutes(delay)];
  });
  const header = ['incident', 'VM', 'size', 'lasts', 'alert', 'verdict', 'told after'];
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

function falseAlerts(one: Study): string {
  const wrong = one.fired.filter((episode) => !isExplained(one, episode));
  if (wrong.length > 0) process.exitCode = 1;
  const lines = wrong.map(({ alert, labels, pendingAt, firingAt = 0, resolvedAt = Number.NaN }) => {
    const at = (time: number): string => ((time - START) / 60).toFixed(1);
    return `- ${alert} ${JSON.stringify(labels)}: pending at minute ${at(pendingAt)}, fired ${at(firingAt)}, resolved ${at(resolvedAt)}\n`;
  });
  return `${one.fired.length} alerts fired, ${wrong.length} of them false.\n${lines.join('')}`;
}

for (const seed of options.seeds.split(',').map(Number)) {
  const quiet: Study = { incidents: [], fired: await study(normal, seed) };
  process.stdout.write(`Normal life, ${hours} h, seed ${seed}: ${falseAlerts(quiet)}`);
  const { incidents: scripted } = incidents({ seed, startTime: START });
  const eventful: Study = { incidents: scripted, fired: await study(incidents, seed) };
  process.stdout.write(`\nIncidents, seed ${seed}: ${falseAlerts(eventful)}\n${report(eventful)}\n`);
}
