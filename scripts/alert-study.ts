import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { secondsOf } from '../alerts/durations.ts';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import * as thresholds from '../alerts/thresholds.ts';
import { memoryFolder } from '../exporter/memory-folder.ts';
import {
  CALIBRATION,
  type Configuration,
  DEVICE_SECONDS,
  LADDER,
  PAPER_VCPUS,
} from '../lab/simhost/calibration.ts';
import { day } from '../lab/simhost/scenarios/day.ts';
import type { Incident, ScenarioWithIncidents } from '../lab/simhost/scenarios/incident.ts';
import { incidents } from '../lab/simhost/scenarios/incidents.ts';
import { normal } from '../lab/simhost/scenarios/normal.ts';
import type { Scenario, ScenarioOptions, Span } from '../lab/simhost/scenarios/scenario.ts';
import { EXIT_NS } from '../lab/simhost/vcpu.ts';
import type { AlertEpisode } from './history/alerts.ts';
import { BlockSink } from './history/chunks.ts';
import { generateHistory } from './history/generate.ts';
import { recordRules } from './history/record.ts';

// `npm run alert-study`: six hours of normal life in which no alert may fire, six more with incidents, and a day before
// incidents that only show against it; each is to be found in time. Prints docs/alerts.md's tables; exits 1 when an alert
// is false, missing or late.

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    only: { type: 'string', default: 'normal,incidents,day' },
  },
});
const START = 1_760_000_400;
const HOUR = 3600;
const { WINDOW, SAMPLED_WINDOW } = thresholds;

interface Plan {
  readonly title: string;
  readonly hours: number;
  /** Seconds between scrapes. */
  readonly step: number;
  readonly make: (options: ScenarioOptions) => Scenario & Partial<ScenarioWithIncidents>;
}

const PLANS: Readonly<Record<string, Plan>> = {
  normal: { title: 'Normal life', hours: 6, step: 15, make: normal },
  incidents: { title: 'Incidents', hours: 6, step: 15, make: incidents },
  day: { title: 'After a day', hours: 27, step: 30, make: day },
};

/** What an incident is to be told by, and how soon after it begins; after its end it may be told for as long as it is kept. */
interface Expected {
  readonly alert: string;
  readonly within: number;
}

const after = (...durations: readonly string[]): number =>
  durations.reduce((sum, duration) => sum + secondsOf(duration), 0);

/** A minute is what queues are judged by, every ten seconds. */
const QUEUES_JUDGED = '70s';

const EXPECTED: Readonly<Record<Incident['kind'], Expected>> = {
  exit_storm: { alert: 'KvmExitStorm', within: after(WINDOW, thresholds.exitStorm.for) },
  storm_of_its_day: {
    alert: 'KvmExitStormAgainstBaseline',
    within: after(WINDOW, thresholds.exitStormAgainstBaseline.for),
  },
  exits_slow: { alert: 'KvmExitLatencyHigh', within: after(SAMPLED_WINDOW, thresholds.exitLatency.for) },
  one_queue: { alert: 'KvmQueueImbalance', within: after(QUEUES_JUDGED, thresholds.queueImbalance.for) },
  polling_lost: { alert: 'KvmPollingRegressed', within: after(WINDOW, thresholds.pollingRegressed.for) },
  halt_poll_waste: { alert: 'KvmHaltPollWaste', within: after(WINDOW, thresholds.haltPollWaste.for) },
  vcpu_starved: { alert: 'KvmVcpuStarved', within: after(WINDOW, thresholds.vcpuStarved.for) },
  drift_widened: { alert: 'KvmAffinityDrift', within: after(thresholds.affinityDrift.for) },
  drift_shared_cpu: { alert: 'KvmThreadsShareCpu', within: after(thresholds.threadsShareCpu.for) },
  drift_other_node: { alert: 'KvmCrossNodeIo', within: after(thresholds.crossNodeIo.for) },
  disk_stall: { alert: 'KvmIoStalled', within: after(thresholds.ioStalled.window, thresholds.ioStalled.for) },
  disk_slow: { alert: 'KvmDiskLatencyHigh', within: after(WINDOW, thresholds.diskLatency.for) },
  exporter_down: { alert: 'KvmTelemetryDown', within: after(thresholds.down.for) },
  lockdown: { alert: 'KvmTelemetryProbeFailing', within: after(thresholds.probeFailing.for) },
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

type Unfit = 'too small' | 'too young';

/** What is below a threshold by itself, however long it lasts. */
const UNFIT: Partial<Record<Incident['kind'], (incident: Incident) => Unfit | false>> = {
  exit_storm: ({ vm, size }) => {
    const [kind, number] = vm.split('-');
    const configuration = LADDER[Number(number) % LADDER.length] ?? 'original';
    const excess = kind === 'fast' ? size / PAPER_VCPUS - headroomOf(configuration) : size / VCPUS_OF_QUIET;
    return excess < thresholds.exitStorm.perVcpu && 'too small';
  },
  storm_of_its_day: ({ size, usual }) => {
    const { minPerVcpu, factor } = thresholds.exitStormAgainstBaseline;
    if (usual === undefined) return 'too young';
    return (size / VCPUS_OF_QUIET < minPerVcpu || size < factor * usual) && 'too small';
  },
  // The slowest that a guest without I/O has often enough is an EPT violation.
  exits_slow: ({ size }) => size * EXIT_NS.EPT_VIOLATION < thresholds.exitLatency.p99 * 1e9 && 'too small',
  one_queue: ({ usual = 0 }) => usual < thresholds.queueImbalance.minIops && 'too small',
  halt_poll_waste: ({ size }) => size < thresholds.haltPollWaste.perVcpu && 'too small',
  disk_slow: ({ size }) => size * DEVICE_SECONDS.nvme < thresholds.diskLatency.mean && 'too small',
  // One of six CPUs: the scheduler gives a vCPU that is a third busy what it wants, nearly at once.
  vcpu_starved: ({ size }) => size < 2 && 'too small',
};

/** What may be told of an incident besides: consequences, which are true. */
const CONSEQUENCES: Partial<Record<Incident['kind'], readonly string[]>> = {
  exit_storm: ['KvmVcpuStarved', 'KvmExitStormAgainstBaseline'],
  storm_of_its_day: ['KvmExitStorm'],
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
  readonly plan: Plan;
  readonly incidents: readonly Incident[];
  readonly unwatched: readonly Span[];
  readonly fired: readonly AlertEpisode[];
}

async function study(plan: Plan, seed: number): Promise<Study> {
  const { hours, step, make } = plan;
  const folder = memoryFolder('kvm-telemetry-alerts-');
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
  const { incidents: scripted = [], unwatched = [] } = make({ seed, startTime: START });
  return {
    plan,
    incidents: scripted,
    unwatched,
    fired: episodes.filter(({ firingAt }) => firingAt !== undefined),
  };
}

/** A scrape, and an evaluation after it. */
const slackOf = ({ step }: Plan): number => 2 * step;
const begins = ({ from }: Incident): number => START + from;
const ends = ({ to }: Incident): number => START + to;

/** Whether this alert tells of this incident: of its VM, and begun while it lasted or a window later. */
function tellsOf(plan: Plan, incident: Incident, { labels, firingAt = 0 }: AlertEpisode): boolean {
  const last = ends(incident) + secondsOf(WINDOW) + slackOf(plan);
  return (labels['vm'] ?? '') === incident.vm && firingAt >= begins(incident) && firingAt <= last;
}

function isExplained({ plan, incidents: all }: Study, episode: AlertEpisode): boolean {
  return all.some(
    (incident) =>
      tellsOf(plan, incident, episode) &&
      [EXPECTED[incident.kind].alert, ...(CONSEQUENCES[incident.kind] ?? [])].includes(episode.alert),
  );
}

type Verdict = 'found' | 'late' | 'missed' | 'too short' | 'unwatched' | Unfit;

/** Seconds after its beginning by which it is to be told: where nobody watched for long, all begins anew after that. */
function allowed({ plan, unwatched }: Study, { kind, from }: Incident): number {
  const within = EXPECTED[kind].within + slackOf(plan);
  if (kind === 'exporter_down') return within;
  const long = unwatched.filter((span) => span.to - span.from > secondsOf(thresholds.MISSED));
  return long.reduce(
    (until, span) => (span.from < from + until && span.to > from ? span.to - from + within : until),
    within,
  );
}

function judge(one: Study, incident: Incident): { verdict: Verdict; delay?: number } {
  const { alert, within } = EXPECTED[incident.kind];
  const until = allowed(one, incident);
  const own = one.fired.find((episode) => episode.alert === alert && tellsOf(one.plan, incident, episode));
  if (own?.firingAt !== undefined) {
    const delay = own.firingAt - begins(incident);
    return { verdict: delay > until ? 'late' : 'found', delay };
  }
  const unfit = UNFIT[incident.kind]?.(incident) ?? false;
  if (unfit !== false) return { verdict: unfit };
  const lasts = incident.to - incident.from;
  if (lasts < within + slackOf(one.plan)) return { verdict: 'too short' };
  return { verdict: lasts < until ? 'unwatched' : 'missed' };
}

const minutes = (seconds: number): string => (seconds / 60).toFixed(1);

/** A line for each incident; those of a disk are those of its VMs. */
function report(one: Study): string {
  const lines = new Map<string, { delays: number[]; verdicts: Verdict[]; vms: string[]; cells: string[] }>();
  for (const incident of one.incidents) {
    const { verdict, delay } = judge(one, incident);
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

// What is left to be removed is removed when the process exits, which it does not by a signal.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
for (const seed of options.seeds.split(',').map(Number)) {
  for (const name of options.only.split(',')) {
    const plan = PLANS[name];
    if (plan === undefined) throw new Error(`no study ${name}: there are ${Object.keys(PLANS).join(', ')}`);
    const one = await study(plan, seed);
    process.stdout.write(`${plan.title}, ${plan.hours} h, seed ${seed}: ${falseAlerts(one)}`);
    process.stdout.write(one.incidents.length === 0 ? '\n' : `${report(one)}\n`);
  }
}
