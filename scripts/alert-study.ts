import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { secondsOf } from '../alerts/durations.ts';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import * as thresholds from '../alerts/thresholds.ts';
import {
  CALIBRATION,
  type Configuration,
  DEVICE_SECONDS,
  LADDER,
  PAPER_VCPUS,
} from '../lab/simhost/calibration.ts';
import { type Incident, incidents } from '../lab/simhost/scenarios/incidents.ts';
import { normal } from '../lab/simhost/scenarios/normal.ts';
import type { Scenario, ScenarioOptions } from '../lab/simhost/scenarios/scenario.ts';
import type { AlertEpisode } from './history/alerts.ts';
import { BlockSink } from './history/chunks.ts';
import { generateHistory } from './history/generate.ts';
import { recordRules } from './history/record.ts';

// `npm run alert-study`: six hours of normal life in which no alert may fire, and six more with incidents, each of which is
// to be found in time. Prints docs/alerts.md's tables; exits 1 when an alert is false, missing or late.

const { values: options } = parseArgs({
  options: {
    hours: { type: 'string', default: '6' },
    step: { type: 'string', default: '15' },
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: 'normal,incidents' },
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

/** The share of what is calibrated that the busy VMs of the fleet do. */
const LOAD = 0.85;

/** Exits a second and vCPU by which a busy VM stays below what its I/O may cost (docs/decisions/0014). */
function headroomOf(configuration: Configuration): number {
  const { iops, kicksPerIo, interruptsPerIo } = CALIBRATION[configuration];
  // Each interrupt is injected and has its EOI.
  const perIo = kicksPerIo + 2 * interruptsPerIo;
  const allowed = Math.min(thresholds.EXITS_PER_IO, thresholds.EXITS_PER_PATH_EVENT * perIo);
  return ((allowed - perIo) * iops * LOAD) / PAPER_VCPUS;
}

const VCPUS_OF_QUIET = 4;

/** Sizes that are below a threshold by themselves, however long they last. */
const IS_TOO_SMALL: Partial<Record<Incident['kind'], (incident: Incident) => boolean>> = {
  exit_storm: ({ vm, size }) => {
    const [kind, number] = vm.split('-');
    if (kind !== 'fast') return size / VCPUS_OF_QUIET < thresholds.exitStorm.perVcpu;
    const configuration = LADDER[Number(number) % LADDER.length] ?? 'original';
    return size / PAPER_VCPUS - headroomOf(configuration) < thresholds.exitStorm.perVcpu;
  },
  halt_poll_waste: ({ size }) => size < thresholds.haltPollWaste.perVcpu,
  disk_slow: ({ size }) => size * DEVICE_SECONDS.nvme < thresholds.diskLatency.mean,
  // One of six CPUs: the scheduler gives a vCPU that is a third busy what it wants, nearly at once.
  vcpu_starved: ({ size }) => size < 2,
};

/** What may be told of an incident besides: consequences, which are true. */
const CONSEQUENCES: Partial<Record<Incident['kind'], readonly string[]>> = {
  exit_storm: ['KvmVcpuStarved', 'KvmExitStormAgainstBaseline'],
  polling_lost: ['KvmStageLost', 'KvmIoThreadSaturated'],
  vcpu_starved: ['KvmDiskLatencyHigh'],
  drift_widened: ['KvmStageLost', 'KvmVcpuStarved'],
  drift_shared_cpu: ['KvmAffinityDrift', 'KvmStageLost', 'KvmVcpuStarved', 'KvmPollingRegressed'],
  drift_other_node: ['KvmAffinityDrift', 'KvmStageLost'],
  disk_stall: ['KvmStageLost', 'KvmQueueImbalance', 'KvmDiskLatencyHigh'],
  // With next to no I/O to be had its polling threads sleep, and kicks are right.
  disk_slow: ['KvmStageLost', 'KvmPollingRegressed'],
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
  if (IS_TOO_SMALL[incident.kind]?.(incident) === true) return { verdict: 'too small' };
  return { verdict: incident.to - incident.from < within ? 'too short' : 'missed' };
}

const minutes = (seconds: number): string => (seconds / 60).toFixed(1);

/** A line for each incident; those of a disk are those of its VMs. */
function report(one: Study): string {
  const lines = new Map<string, { delays: number[]; verdicts: Verdict[]; vms: string[]; cells: string[] }>();
  for (const incident of one.incidents) {
    const { verdict, delay } = judge(incident, one.fired);
    const { kind, vm, size, from, to } = incident;
    if (verdict === 'late' || verdict === 'missed') process.exitCode = 1;
    const key = kind.startsWith('disk') ? `${kind} ${from}` : `${kind} ${from} ${vm}`;
    const cells = [kind, String(size), minutes(to - from), EXPECTED[kind].alert];
    const line = lines.get(key) ?? { delays: [], verdicts: [], vms: [], cells };
    lines.set(key, line);
    line.verdicts.push(verdict);
    line.vms.push(vm);
    if (delay !== undefined) line.delays.push(delay);
  }
  const rows = [...lines.values()].map(({ delays, verdicts, vms, cells: [kind = '', ...cells] }) => {
    const counts = new Map<Verdict, number>();
    for (const verdict of verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const verdict = [...counts]
      .map(([each, count]) => (vms.length === 1 ? each : `${count} ${each}`))
      .join(', ');
    const told = [...new Set([Math.min(...delays), Math.max(...delays)])]
      .filter(Number.isFinite)
      .map(minutes);
    return [kind, vms.length === 1 ? vms.join() : `${vms.length} VMs`, ...cells, verdict, told.join(' to ')];
  });
  const header = ['incident', 'VM', 'size', 'lasts, min', 'alert', 'verdict', 'told after, min'];
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

const wanted = options.only.split(',');
for (const seed of options.seeds.split(',').map(Number)) {
  if (wanted.includes('normal')) {
    const quiet: Study = { incidents: [], fired: await study(normal, seed) };
    process.stdout.write(`Normal life, ${hours} h, seed ${seed}: ${falseAlerts(quiet)}\n`);
  }
  if (wanted.includes('incidents')) {
    const { incidents: scripted } = incidents({ seed, startTime: START });
    const eventful: Study = { incidents: scripted, fired: await study(incidents, seed) };
    process.stdout.write(
      `Incidents, ${hours} h, seed ${seed}: ${falseAlerts(eventful)}\n${report(eventful)}\n`,
    );
  }
}
