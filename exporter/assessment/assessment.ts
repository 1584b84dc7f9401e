import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readBootId } from '../../probes/proc-boot-id.ts';
import type { TechniqueState } from '../metrics/techniques.ts';
import type { Affinity } from '../model/affinity-reading.ts';
import type { Drift } from '../model/drift.ts';
import type { Feature } from '../model/features.ts';
import { EVENT_WORDS, type HostEvent } from '../model/host-event.ts';
import type { Residency } from '../model/residency.ts';
import { wordFor } from '../model/stage.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TechniqueVerdict } from '../model/technique.ts';
import { changeInWords, proofInWords } from '../model/technique-in-words.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../model/thread-snapshot.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import type { StateLogger } from '../state/state-file.ts';
import { Accepted } from './affinity/accepted.ts';
import { Baselines } from './affinity/baselines.ts';
import { Memory } from './affinity/memory.ts';
import { type AffinitySettings, AffinityWatch } from './affinity/watch.ts';
import type { Watched } from './affinity/watched.ts';
import { ApicvWatch } from './apicv-watch.ts';
import { HugePageWatch } from './huge-page-watch.ts';
import { MemoryWatch } from './memory-watch.ts';
import { MigrationWatch } from './migration-watch.ts';
import type { VmPlan } from './plan/plan.ts';
import { ioThreadsOf } from './plan/polling.ts';
import type { Moment } from './stage/moment.ts';
import { Phases } from './stage/phases.ts';
import { type StageDependencies, StageWatch } from './stage/watch.ts';
import { TechniqueRecords } from './technique/records.ts';
import { TechniqueWatch } from './technique/watch.ts';

export interface AssessmentDependencies {
  readonly host: Host;
  readonly watched: Watched;
  readonly logger: StateLogger & { debug(fields: object, message: string): void };
  residencyOf(thread: VmThread): Residency | undefined;
  readonly lastOf: StageDependencies['lastOf'];
  onEvent(event: HostEvent): void;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Milliseconds of the epoch. */
  epochMs(): number;
  /** Seconds since boot. */
  sinceBoot(): number;
  readonly stateDirectory: string;
  /** Whether learned state is written to --state.dir. False for commands that run beside the daemon. */
  readonly learns: boolean;
}

/**
 * Compares the expected with the actual configuration and derives the stage of the methodology. Runs between
 * scrapes.
 */
export class Assessment {
  readonly #memory: Memory;
  readonly #affinity: AffinityWatch;
  readonly #stages: StageWatch;
  readonly #apicv = new ApicvWatch();
  readonly #hugePages = new HugePageWatch();
  readonly #migrations = new MigrationWatch();
  readonly #memoryWatch: MemoryWatch;

  constructor(
    private readonly dependencies: AssessmentDependencies,
    settings: AffinitySettings,
  ) {
    const { host, watched, logger, now, stateDirectory } = dependencies;
    const boot = bootId(host);
    const accepted = new Accepted(stateDirectory, boot, logger);
    this.#memory = new Memory(host, now);
    this.#memoryWatch = new MemoryWatch(host, now);
    this.#affinity = new AffinityWatch(
      {
        host,
        watched,
        memory: this.#memory,
        residencyOf: dependencies.residencyOf,
        accepted,
        baselines: new Baselines(stateDirectory, boot, logger, dependencies.learns),
        onChange: (drift, began, fix) => this.#logDrift(drift, began, fix),
        sinceBoot: dependencies.sinceBoot,
      },
      settings,
    );
    this.#stages = new StageWatch({
      phases: new Phases(stateDirectory, logger),
      techniques: new TechniqueWatch({
        records: new TechniqueRecords(stateDirectory, boot, logger, dependencies.learns),
        epochMs: dependencies.epochMs,
        acceptedAt: ({ key }) => accepted.lostAt(key),
        onChange: (vm, verdict, from) => this.#logTechnique(vm, verdict, from),
      }),
      vms: () => watched.vms,
      topology: () => watched.topology,
      affinity: () => this.#affinity.reading,
      lastOf: dependencies.lastOf,
      onPhase: (vm, from, to) => this.#logPhase(vm, from, to),
    });
  }

  /** Applies other settings and keeps what was learned. */
  configure(settings: AffinitySettings): void {
    this.#affinity.configure(settings);
  }

  get affinity(): Affinity {
    return this.#affinity.reading;
  }

  get stages(): Stages {
    return this.#stages;
  }

  /**
   * The plan that repairs a VM and gives it features; undefined if the VM was not checked yet.
   *
   * @param goalsOf the features that each VM of the host is to get: no two plans take the same CPU
   */
  planFor(vm: Vm, goalsOf: (vm: Vm) => readonly Feature[]): Promise<VmPlan | undefined> {
    return this.#affinity.planFor(vm, (each) => {
      const { statistics } = this.dependencies.lastOf(each);
      return { goals: goalsOf(each), ioThreads: ioThreadsOf(each, statistics) };
    });
  }

  /** Reads the affinity of threads and checks it for drift. Call it every second. */
  async follow(snapshot: ThreadSnapshot = NO_SNAPSHOT): Promise<void> {
    await this.#affinity.tick(snapshot);
  }

  /** Reads the memory of one VM now, without waiting for its turn. */
  async readMemoryOf(vm: Vm): Promise<void> {
    await this.#memory.readNext([vm]);
  }

  /** Reads the memory of VMs that are due. Call it every second. */
  async readMemory(): Promise<void> {
    const { vms, topology } = this.dependencies.watched;
    // On a host with one NUMA node all memory is local.
    if ((topology?.nodes.length ?? 0) > 1) await this.#memory.readDue(vms, (vm) => this.#isApart(vm));
  }

  /** Whether the VM is pinned, but not near its memory. */
  #isApart(vm: Vm): boolean {
    const features = this.#stages.of(vm)?.features;
    return features?.get('vcpus_pinned') === 1 && features.get('numa_local') === 0;
  }

  /** Judges the techniques. Call it several times a minute. */
  async judge(moments: ReadonlyMap<string, Moment>): Promise<void> {
    await this.#stages.judge(moments);
    this.#logApicv();
    this.#logMigrations();
    this.#logMemory();
  }

  #logDrift({ vm, thread, kind, why }: Drift, began: boolean, fix: string | undefined): void {
    const { logger, onEvent } = this.dependencies;
    const what = `${thread} ${kind.replaceAll('_', ' ')}`;
    onEvent({ kind: began ? 'drift_began' : 'drift_ended', vm, what, evidence: began ? why : '' });
    if (began) logger.warn({ vm, thread, kind, fix }, `affinity drift of ${vm} ${thread}: ${kind}: ${why}`);
    else logger.info({ vm, thread, kind }, `affinity drift of ${vm} ${thread} has ended: ${kind}`);
  }

  #logTechnique({ label: vm }: Vm, verdict: TechniqueVerdict, from: TechniqueState): void {
    const { logger, onEvent } = this.dependencies;
    const { technique, state: to, evidence } = verdict;
    const word = wordFor(technique);
    const fields = { vm, technique, from, to, evidence };
    const message = `${word} of ${vm}: ${changeInWords(verdict, from)}`;
    // The first verdict on a VM is no change.
    if (from === 'unknown') {
      logger.debug(fields, message);
      return;
    }
    const isLost = to === 'lost';
    onEvent({
      kind: isLost ? 'technique_lost' : 'technique_changed',
      vm,
      what: isLost ? word : `${word}: ${from} -> ${to}`.replaceAll('_', ' '),
      evidence: proofInWords(verdict),
    });
    if (isLost) logger.warn(fields, message);
    else logger.info(fields, message);
  }

  #logApicv(): void {
    const { watched, lastOf, logger, onEvent } = this.dependencies;
    for (const event of this.#apicv.changes(watched.vms, (vm) => lastOf(vm).kernel)) {
      const { vm, kind, what } = event;
      onEvent(event);
      if (kind === 'apicv_inhibited')
        logger.warn({ vm, reasons: what }, `APICv of ${vm} is inhibited: ${what}`);
      else logger.info({ vm }, `APICv of ${vm} works again`);
    }
  }

  #logMigrations(): void {
    const { watched, lastOf, logger, onEvent } = this.dependencies;
    const events = this.#migrations.changes(
      watched.vms,
      (vm) => watched.threadsOf(vm),
      (vm) => lastOf(vm).migration,
    );
    for (const event of events) {
      onEvent(event);
      const { vm, kind, what: direction, evidence } = event;
      logger.info({ vm, direction, evidence }, `${EVENT_WORDS[kind]}: ${vm}`);
    }
  }

  #logMemory(): void {
    const { watched, lastOf, logger, onEvent } = this.dependencies;
    const { vms } = watched;
    const events = [
      ...this.#memoryWatch.changes(vms, (vm) => watched.threadsOf(vm)),
      ...this.#hugePages.changes(vms, (vm) => lastOf(vm).kernel),
    ];
    for (const event of events) {
      onEvent(event);
      const { vm, kind, evidence } = event;
      logger.info({ vm, evidence }, `memory of ${vm}: ${EVENT_WORDS[kind]}`);
    }
  }

  #logPhase({ label: vm }: Vm, from: string | undefined, to: string | undefined): void {
    const { logger, onEvent } = this.dependencies;
    const change = `${from ?? 'none'} -> ${to ?? 'none'}`;
    onEvent({ kind: 'phase_changed', vm, what: change.replaceAll('_', ' '), evidence: '' });
    logger.info({ vm, from, to }, `phase of ${vm}: ${change}`);
  }
}

/** Without a boot id, baselines from an earlier run are ignored, because they may predate a reboot. */
export function bootId(host: Host): string {
  try {
    return ifThere(() => readBootId(host)) ?? '';
  } catch {
    return '';
  }
}
