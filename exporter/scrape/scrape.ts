import { type SourceError, sourceError, TimeIsUp } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { inTime } from '../../probes/in-time.ts';
import type { Sampler } from '../assessment/sampler.ts';
import type { Collection, Collector } from '../collectors/collector.ts';
import type { Inventory } from '../inventory/inventory.ts';
import { Families, type Family } from '../metrics/families.ts';
import { buildLabels, noLabels, probeLabels } from '../metrics/label-sets.ts';
import { type LabelBlock, labelBlock } from '../metrics/labels.ts';
import type { Affinity } from '../model/affinity-reading.ts';
import type { Remotes } from '../model/remote.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import type { Vm } from '../model/vm.ts';
import { Pace } from '../schedule/yielder.ts';
import type { ProblemLog } from './problem-log.ts';
import type { SeriesLog } from './series-log.ts';
import { SharedWork, type Underway } from './shared-work.ts';

export interface Build {
  readonly version: string;
  readonly revision: string;
  /** Whether the host is a copy or a simulation. */
  readonly simulated: boolean;
}

export interface ScrapeParts {
  readonly host: Host;
  readonly inventory: Inventory;
  readonly sampler: Sampler;
  collectors(): readonly Collector[];
  readonly problemLog: ProblemLog;
  readonly seriesLog: SeriesLog;
  maxSeries(): number;
  /** Queries VMMs and managers. The responses arrive while the kernel's files are read. */
  askRemotes(vms: readonly Vm[], withinMs: number): Promise<Remotes>;
  /** Result of the last affinity check. */
  affinity(): Affinity;
  readonly stages: Stages;
  /** Reads the trace events. */
  readTrace(breathe: () => Promise<void>): TraceReading | Promise<TraceReading>;
  readonly build: Build;
  readonly patientMs?: number;
}

/** Result of one probe. */
export interface ProbeResult {
  /** Empty if the probe read all its sources. */
  readonly problems: readonly SourceError[];
  /** undefined for a probe that did its work before the scrape. */
  readonly seconds: number | undefined;
  readonly series: number;
  /** What the source cannot provide on this host, although nothing is wrong. */
  readonly limits: readonly string[];
}

export interface ScrapeResult {
  readonly families: readonly Family[];
  readonly probes: ReadonlyMap<string, ProbeResult>;
}

/**
 * If a collection has less time than this, gaps are due to the client's timeout and not to the host, so they
 * are not logged.
 */
const PATIENT_MS = 5000;

/** Collects on demand. Overlapping scrapes share collections. */
export class Scrape {
  readonly #work: SharedWork<ScrapeResult>;

  constructor(parts: ScrapeParts, onCoalesced: () => void = () => undefined) {
    this.#work = new SharedWork((deadline) => begin(parts, deadline), isComplete, onCoalesced);
  }

  /** @param timeoutMs time limit for the result, which may be incomplete */
  collect(timeoutMs: number): Promise<ScrapeResult> {
    return this.#work.ask(performance.now() + timeoutMs);
  }
}

function isComplete({ probes }: ScrapeResult): boolean {
  return ![...probes.values()].some(({ problems }) => problems.some(isCut));
}

function isCut(problem: SourceError): boolean {
  return problem instanceof TimeIsUp;
}

function begin(parts: ScrapeParts, deadline: number): Underway<ScrapeResult> {
  const { host, inventory, sampler } = parts;
  const isPatient = deadline - performance.now() >= (parts.patientMs ?? PATIENT_MS);
  const families = new Families(parts.maxSeries());
  const probes = new Map<string, MutableProbeResult>();
  const pace = new Pace();
  const collectors = parts.collectors();
  return { deadline, result: collect(), soFar };

  async function collect(): Promise<ScrapeResult> {
    await run('inventory', () => inventory.refresh(false));
    const remotes = await parts.askRemotes(inventory.vms, share(deadline));
    const collection: Collection = {
      ...remotes,
      host,
      families,
      given: new Map(),
      vms: inventory.vms,
      disks: inventory.disks,
      topology: inventory.topology,
      affinity: parts.affinity(),
      stages: parts.stages,
      trace: () => parts.readTrace(() => collection.breathe()),
      observeThreads: (vm) => inventory.observeThreads(vm),
      residencyOf: (thread) => sampler.residencyOf(thread),
      async breathe() {
        if (pace.isDue()) await pace.giveWay();
        if (performance.now() > deadline) throw new TimeIsUp('collection');
      },
    };
    for (const collector of collectors) {
      await run(collector.name, async (probe) => {
        await collection.breathe();
        await collector.collect(collection, (problem) => probe.problems.push(problem));
        probe.limits = collector.limits ?? [];
      });
    }
    probeNamed('inventory').limits = inventory.limits;
    for (const [name, problems] of inventory.problems) probeNamed(name).problems.push(...problems);
    for (const [name, { problems }] of probes) logProblems(parts.problemLog, name, problems, isPatient);
    families.settle();
    parts.seriesLog.update(families.cuts);
    addSelf(parts.build, families, probes);
    return { families: families.sorted(), probes };
  }

  function soFar(): ScrapeResult {
    const copy = families.copy();
    const known = new Map(probes);
    for (const name of ['inventory', ...collectors.map((each) => each.name)]) {
      const probe = known.get(name);
      if (probe?.seconds !== undefined) continue;
      known.set(name, {
        ...(probe ?? newProbe()),
        problems: [...(probe?.problems ?? []), new TimeIsUp(name)],
      });
    }
    copy.settle();
    addSelf(parts.build, copy, known);
    return { families: copy.sorted(), probes: known };
  }

  function probeNamed(name: string): MutableProbeResult {
    const probe = probes.get(name) ?? newProbe();
    probes.set(name, probe);
    return probe;
  }

  async function run(name: string, work: (probe: MutableProbeResult) => Promise<void>): Promise<void> {
    const probe = probeNamed(name);
    const start = performance.now();
    const before = families.taken;
    try {
      await inTime(work(probe), share(deadline), () => new TimeIsUp(name));
    } catch (error) {
      probe.problems.push(sourceError(error, name));
    }
    probe.seconds = (performance.now() - start) / 1000;
    probe.series = families.taken - before;
  }
}

function newProbe(): MutableProbeResult {
  return { problems: [], seconds: undefined, series: 0, limits: [] };
}

interface MutableProbeResult {
  problems: SourceError[];
  seconds: number | undefined;
  series: number;
  limits: readonly string[];
}

/** A hanging probe may use half of the remaining time, so that later probes still get their share. */
function share(deadline: number): number {
  return Math.max(0, (deadline - performance.now()) / 2);
}

function logProblems(
  log: ProblemLog,
  probe: string,
  problems: readonly SourceError[],
  isPatient: boolean,
): void {
  const real = isPatient ? problems : problems.filter((problem) => !isCut(problem));
  // Probes that ran out of time do not show whether their sources are usable.
  if (real.length > 0 || problems.length === 0) log.update(probe, real);
}

function addSelf(build: Build, families: Families, probes: ReadonlyMap<string, ProbeResult>): void {
  const collected = families.series;
  for (const [probe, { problems, seconds }] of probes) {
    const labels = labelBlock(probeLabels, [probe]);
    families.addUnlimited('kvm_telemetry_probe_success', labels, problems.length === 0 ? 1 : 0);
    if (seconds !== undefined) families.addUnlimited('kvm_telemetry_probe_duration_seconds', labels, seconds);
  }
  const none = labelBlock(noLabels, []);
  families.addUnlimited('kvm_telemetry_series', none, collected);
  families.addUnlimited('kvm_telemetry_series_dropped', none, families.dropped);
  for (const { owner, dropped } of families.cuts) {
    if (owner !== '')
      families.addUnlimited('kvm_telemetry_vm_series_dropped', owner as LabelBlock<'vm'>, dropped);
  }
  families.addUnlimited(
    'kvm_telemetry_build_info',
    labelBlock(buildLabels, [build.version, build.revision, process.versions.node, String(build.simulated)]),
    1,
  );
}
