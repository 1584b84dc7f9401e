import type { Logger } from 'pino';
import { isExhausted, isGone, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type BlockStat, readBlockStat } from '../../probes/sys-block-stat.ts';
import type { Assessment } from '../assessment/assessment.ts';
import type { Evidence } from '../assessment/cause/evidence.ts';
import { EvidenceReader } from '../assessment/cause/reader.ts';
import { type ThreadTimes, threadTimes } from '../assessment/cause/thread-times.ts';
import type { Sampler } from '../assessment/sampler.ts';
import { takeMoments } from '../assessment/stage/moment.ts';
import type { Inventory } from '../inventory/inventory.ts';
import type { Isa, ReasonNames } from '../model/io-path.ts';
import { visibilityOf } from '../model/visibility.ts';
import { countersOf, cpuOf, NO_CPU, type VmCounters, type VmCpu } from '../model/vm-counters.ts';
import type { ScheduledTask } from '../schedule/scheduler.ts';
import { TASKS, type TaskName, type TaskRuns } from '../schedule/task-runs.ts';
import { Yielder } from '../schedule/yielder.ts';
import type { ProblemLog } from '../scrape/problem-log.ts';
import type { RemoteSources } from '../sources/remotes.ts';
import type { Trace } from '../trace/trace.ts';
import type { OwnMetrics } from './own-metrics.ts';
import { PERF_INTERVAL_MS, type Settings } from './settings.ts';

/** perf reports each VM at its own time, so its counts are up to date after at most this time. */
const PERF_REPORT_MS = 2 * PERF_INTERVAL_MS;

export interface PeriodicWorkDependencies {
  readonly host: Host;
  readonly inventory: Inventory;
  readonly sampler: Sampler;
  readonly remotes: RemoteSources;
  readonly trace: Trace;
  readonly assessment: Assessment;
  readonly problemLog: ProblemLog;
  readonly taskRuns: TaskRuns;
  readonly own: Pick<OwnMetrics, 'inventoryDuration' | 'samplerDuration'>;
  readonly logger: Pick<Logger, 'debug'>;
  /**
   * Takes the counters of the VMs that were read without a scrape.
   *
   * @param evidence of possible causes of slow I/O, by label
   */
  record(vms: readonly VmCounters[], evidence: ReadonlyMap<string, Evidence>): void;
  /** Appends a scrape to the recording. */
  readonly recordScrape: () => Promise<void>;
  /** Writes the report on the changes of the VMs. */
  readonly writeReport: () => Promise<void>;
  now(): number;
}

/** The work between scrapes: the steps of each task, in order. */
export class PeriodicWork {
  #ready = false;
  /** CPU time of each VM's threads in the last pass, by key. */
  #cpu: ReadonlyMap<string, VmCpu> = new Map();
  /** Waits of the threads in the same pass. */
  #threads: ReadonlyMap<string, ThreadTimes> = new Map();
  readonly #evidence: EvidenceReader;

  constructor(
    private readonly dependencies: PeriodicWorkDependencies,
    private settings: Pick<Settings, 'assesses' | 'schedules'>,
  ) {
    this.#evidence = new EvidenceReader(dependencies.host, dependencies.now);
  }

  configure(settings: Pick<Settings, 'assesses' | 'schedules'>): void {
    this.settings = settings;
  }

  /** Whether the first full scan of the inventory is complete. */
  get isReady(): boolean {
    return this.#ready;
  }

  /**
   * Runs all work once, in order, so that a scrape has all results.
   *
   * @param traced whether to start counting trace events
   */
  async runOnce(traced: boolean): Promise<void> {
    await this.discover();
    await this.sample();
    if (traced) await this.dependencies.trace.start();
    await this.judge();
  }

  /** The tasks of the scheduler. */
  get tasks(): ScheduledTask[] {
    const { taskRuns, trace, assessment } = this.dependencies;
    const work: Readonly<Record<TaskName, () => Promise<void>>> = {
      inventory: () => this.discover(),
      memory: async () => {
        if (this.settings.assesses) await assessment.readMemory();
      },
      sampler: () => this.sample(),
      trace: () => trace.tick(),
      stages: () => this.judge(PERF_REPORT_MS),
      record: this.dependencies.recordScrape,
      report: this.dependencies.writeReport,
    };
    const { schedules } = this.settings;
    return TASKS.flatMap((name) => {
      const schedule = schedules[name];
      return schedule === undefined ? [] : [{ name, schedule, run: () => taskRuns.run(name, work[name]) }];
    });
  }

  /** A full scan of the inventory, including each VM's threads, which the sampler needs. */
  async discover(): Promise<void> {
    const { inventory, remotes, own, problemLog, host, logger, now } = this.dependencies;
    const end = own.inventoryDuration.startTimer();
    try {
      await inventory.refresh(true);
    } catch (error) {
      // Keep the VMs of the last scan; the next scan comes soon.
      if (!isExhausted(error)) throw error;
      problemLog.update('inventory', [sourceError(error, host.roots.procfs)]);
      return;
    }
    await remotes.discover(inventory.vms);
    const yielder = new Yielder();
    const snapshot = inventory.readThreads();
    const cpu = new Map<string, VmCpu>();
    const threads = new Map<string, ThreadTimes>();
    for (const vm of inventory.vms) {
      if (yielder.isDue()) await yielder.yield();
      try {
        const observations = inventory.observeThreads(vm, snapshot);
        cpu.set(vm.key, cpuOf(observations));
        const times = this.settings.assesses ? threadTimes(observations, now()) : undefined;
        if (times !== undefined) threads.set(vm.key, times);
      } catch (error) {
        if (!isGone(error)) logger.debug({ err: error, vm: vm.label }, 'cannot read the threads of a VM');
      }
    }
    this.#cpu = cpu;
    this.#threads = threads;
    end();
    this.#ready = true;
  }

  /** Samples the CPU of each thread, and checks the affinity masks. */
  async sample(): Promise<void> {
    const { inventory, sampler, assessment, own, problemLog } = this.dependencies;
    const end = own.samplerDuration.startTimer();
    const snapshot = inventory.readThreads();
    const problems = await sampler.sample(inventory.vms, (vm) => inventory.threadsOf(vm), snapshot);
    problemLog.update('sampler', problems);
    if (this.settings.assesses) await assessment.follow(snapshot);
    end();
  }

  /**
   * Judges the techniques of each VM, and records its history. Counts kicks, interrupts and I/Os now, independently of
   * scrapes.
   *
   * @param patience how long to wait for perf, which reports at its own interval
   */
  async judge(patience = 0): Promise<void> {
    if (!this.settings.assesses) return;
    const { inventory, trace, remotes, assessment, record, now } = this.dependencies;
    const yielder = new Yielder();
    let isa: Isa = 'vmx';
    let names: ReasonNames = new Map();
    const moments = await takeMoments({
      vms: () => inventory.vms,
      async readTrace() {
        const reading = await trace.readPaced(async () => {
          if (yielder.isDue()) await yielder.yield();
        });
        ({ isa, names } = reading);
        return reading;
      },
      current: (vm) => trace.current(vm, patience),
      ios: (vms) => remotes.ios(vms),
      hasMonitor: (vm) => remotes.hasMonitor(vm),
      now,
    });
    await assessment.judge(moments);
    const blocks = this.#readBlocks();
    const { vms } = inventory;
    const evidence = await this.#evidence.read(vms, {
      threads: this.#threads,
      blocks,
      disksOf: (vm) =>
        moments.get(vm.key)?.ios === undefined ? undefined : remotes.lastOf(vm).statistics?.disks,
    });
    const counters = vms.flatMap((vm) => {
      const moment = moments.get(vm.key);
      const cpu = this.#cpu.get(vm.key) ?? NO_CPU;
      if (moment === undefined) return [];
      const visibility = visibilityOf(vm, remotes.lastOf(vm).kernel);
      const throttled = evidence.get(vm.key)?.throttled ?? {};
      return [countersOf(vm, { ...moment, isa, names, cpu, throttled, blocks, visibility })];
    });
    record(
      counters,
      new Map(
        vms.flatMap(({ key, label }) => {
          const found = evidence.get(key);
          return found === undefined ? [] : [[label, found]];
        }),
      ),
    );
  }

  /** One short file for each device of a VM. A device that cannot be read is left out. */
  #readBlocks(): ReadonlyMap<string, BlockStat> {
    const { inventory, host } = this.dependencies;
    const names = inventory.vms.flatMap(({ blockDevices }) => blockDevices.map(({ device }) => device));
    const stats = new Map<string, BlockStat>();
    for (const name of new Set(names)) {
      try {
        stats.set(name, readBlockStat(host, name));
      } catch {
        // The block collector reports it.
      }
    }
    return stats;
  }
}
