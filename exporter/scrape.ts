import { SourceError, sourceError } from '../probes/errors.ts';
import type { Host } from '../probes/host.ts';
import { inTime } from '../probes/in-time.ts';
import type { Collection, Collector } from './collectors/collector.ts';
import type { Inventory } from './inventory/inventory.ts';
import { Families, type Family } from './metrics/families.ts';
import { buildLabels, noLabels, probeLabels } from './metrics/label-sets.ts';
import { labelBlock } from './metrics/labels.ts';
import type { Affinity } from './model/affinity-reading.ts';
import type { Stages } from './model/stage-reading.ts';
import type { TraceReading } from './model/trace-reading.ts';
import type { Vm } from './model/vm.ts';
import { Pace } from './pace.ts';
import type { ProblemLog } from './problem-log.ts';
import type { Sampler } from './sampler.ts';

export interface Build {
  readonly version: string;
  readonly revision: string;
  /** The host is a copy or a simulation. */
  readonly simulated: boolean;
}

/** Questions under way. */
export type Remotes = Pick<Collection, 'qmp' | 'libvirt' | 'versionOf'>;

export interface ScrapeParts {
  readonly host: Host;
  readonly inventory: Inventory;
  readonly sampler: Sampler;
  collectors(): readonly Collector[];
  readonly problemLog: ProblemLog;
  maxSeries(): number;
  /** Asks VMMs and managers; the answers come while the kernel's files are read. */
  askRemotes(vms: readonly Vm[], withinMs: number): Promise<Remotes>;
  /** Where threads are, as last looked. */
  affinity(): Affinity;
  readonly stages: Stages;
  /** Takes a reading of the trace events. */
  readTrace(breathe: () => Promise<void>): TraceReading | Promise<TraceReading>;
  readonly build: Build;
}

/** How one probe did. */
export interface ProbeResult {
  /** Empty: it gave all it should. */
  readonly problems: readonly SourceError[];
  /** undefined for a probe whose work was done before the scrape. */
  readonly seconds: number | undefined;
  readonly series: number;
  /** What the source cannot tell here though nothing is wrong. */
  readonly limits: readonly string[];
}

export interface ScrapeResult {
  readonly families: readonly Family[];
  readonly probes: ReadonlyMap<string, ProbeResult>;
}

/** The scrape's time is up: what was gathered so far is delivered. */
class TimeIsUp extends SourceError {
  constructor(probe: string) {
    super('timeout', probe, 'left out: the scrape timeout was reached');
  }
}

/** A collection under way. */
interface Running {
  readonly deadline: number;
  readonly result: Promise<ScrapeResult>;
}

/** Scrapers in different hurries have collections of their own, up to this many. */
const MAX_RUNNING = 4;

/** Collects on demand. Scrapes that overlap share a collection, unless it would come too late for one of them. */
export class Scrape {
  readonly #running = new Set<Running>();

  constructor(
    private readonly parts: ScrapeParts,
    private readonly onCoalesced: () => void = () => undefined,
  ) {}

  /** @param timeoutMs by when the result must be there, complete or not */
  collect(timeoutMs: number): Promise<ScrapeResult> {
    const now = performance.now();
    const deadline = now + timeoutMs;
    const all = [...this.#running].sort((a, b) => a.deadline - b.deadline);
    // One in much more of a hurry may have to leave out what there would be time for.
    const fitting = all.find((each) => each.deadline <= deadline && each.deadline - now >= timeoutMs / 2);
    const shared = fitting ?? (all.length >= MAX_RUNNING ? all[0] : undefined);
    if (shared !== undefined) {
      this.onCoalesced();
      return shared.result;
    }
    const running: Running = {
      deadline,
      result: collect(this.parts, deadline).finally(() => this.#running.delete(running)),
    };
    this.#running.add(running);
    return running.result;
  }
}

async function collect(parts: ScrapeParts, deadline: number): Promise<ScrapeResult> {
  const { host, inventory, sampler, maxSeries } = parts;
  const families = new Families(maxSeries());
  const probes = new Map<string, MutableProbeResult>();
  const pace = new Pace();

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
  for (const collector of parts.collectors()) {
    await run(collector.name, async (probe) => {
      await collection.breathe();
      await collector.collect(collection, (problem) => probe.problems.push(problem));
      probe.limits = collector.limits ?? [];
    });
  }
  probeNamed('inventory').limits = inventory.limits;
  for (const [name, problems] of inventory.problems) probeNamed(name).problems.push(...problems);
  addSelf(parts, families, probes);
  return { families: families.sorted(), probes };

  function probeNamed(name: string): MutableProbeResult {
    const known = probes.get(name);
    if (known !== undefined) return known;
    const probe: MutableProbeResult = { problems: [], seconds: undefined, series: 0, limits: [] };
    probes.set(name, probe);
    return probe;
  }

  async function run(name: string, work: (probe: MutableProbeResult) => Promise<void>): Promise<void> {
    const probe = probeNamed(name);
    const start = performance.now();
    const before = families.series;
    try {
      await inTime(work(probe), share(deadline), () => new TimeIsUp(name));
    } catch (error) {
      probe.problems.push(sourceError(error, name));
    }
    probe.seconds = (performance.now() - start) / 1000;
    probe.series = families.series - before;
  }
}

interface MutableProbeResult {
  problems: SourceError[];
  seconds: number | undefined;
  series: number;
  limits: readonly string[];
}

/** One probe that hangs may take half of what time is left, so that those after it have theirs. */
function share(deadline: number): number {
  return Math.max(0, (deadline - performance.now()) / 2);
}

function addSelf(
  { build, problemLog }: ScrapeParts,
  families: Families,
  probes: ReadonlyMap<string, ProbeResult>,
): void {
  const collected = families.series;
  for (const [probe, { problems, seconds }] of probes) {
    problemLog.update(probe, problems);
    const labels = labelBlock(probeLabels, [probe]);
    families.addUnlimited('kvm_telemetry_probe_success', labels, problems.length === 0 ? 1 : 0);
    if (seconds !== undefined) families.addUnlimited('kvm_telemetry_probe_duration_seconds', labels, seconds);
  }
  const none = labelBlock(noLabels, []);
  families.addUnlimited('kvm_telemetry_series', none, collected);
  families.addUnlimited('kvm_telemetry_series_dropped', none, families.dropped);
  const dropped = new SourceError('too_large', 'limits.maxSeries', `${families.dropped} series left out`);
  problemLog.update('series', families.dropped === 0 ? [] : [dropped]);
  families.addUnlimited(
    'kvm_telemetry_build_info',
    labelBlock(buildLabels, [build.version, build.revision, process.versions.node, String(build.simulated)]),
    1,
  );
}
