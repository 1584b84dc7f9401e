import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isExhausted, isGone, sourceError } from '../../probes/errors.ts';
import { createHost, type Host } from '../../probes/host.ts';
import { type Lockdown, readLockdown } from '../../probes/lockdown.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import { Assessment } from '../assessment/assessment.ts';
import { Sampler } from '../assessment/sampler.ts';
import { takeEvidence } from '../assessment/stage/evidence.ts';
import type { Collector } from '../collectors/collector.ts';
import { type CollectorName, createCollectors } from '../collectors/index.ts';
import { type Config, traceSets } from '../config/options.ts';
import { rootsOf } from '../config/roots.ts';
import { diagnose, type Report } from '../doctor/sources.ts';
import { reportOn, takenCpus, type VmReport } from '../doctor/vm.ts';
import { Inventory } from '../inventory/inventory.ts';
import type { Vm } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';
import { every, intervalOf, type Task } from '../schedule/schedule.ts';
import { TASKS, type TaskName, TaskRuns } from '../schedule/task-runs.ts';
import { Yielder } from '../schedule/yielder.ts';
import { ProblemLog } from '../scrape/problem-log.ts';
import { type Build, Scrape, type ScrapeResult } from '../scrape/scrape.ts';
import { SeriesLog } from '../scrape/series-log.ts';
import { RemoteSources } from '../sources/remotes.ts';
import type { TraceSettings } from '../trace/backend-choice.ts';
import { perfStarter } from '../trace/perf-process.ts';
import type { TraceSetName } from '../trace/sets.ts';
import { Trace } from '../trace/trace.ts';
import type { OwnMetrics } from './own-metrics.ts';
import { realWorld, type World } from './world.ts';

/** Time limit of a collection without a deadline from a client. */
const PATIENT_MS = 60_000;
/** Samples that doctor takes to determine on which CPUs a thread runs. */
const DOCTOR_SAMPLES = 4;
const DOCTOR_SAMPLE_MS = 250;
/** Windows of tracepoint sets that are not always on last one second. */
const EACH_SECOND = '* * * * * *';
/**
 * Interval at which perf reports its counts; a scrape shows counts up to this old. Each reading of the
 * counters interrupts the vCPUs' CPUs, and each interrupt costs a VM exit.
 */
const PERF_INTERVAL_MS = 5000;

/**
 * Everything between the kernel and the exposition, built from a configuration: inventory, sampler, scrape
 * and their tasks. It does not include HTTP, so that `once` and `doctor` use the same code as `serve`.
 */
export class Telemetry {
  readonly #host: Host;
  readonly #problemLog: ProblemLog;
  readonly #inventory: Inventory;
  readonly #sampler: Sampler;
  readonly #remotes: RemoteSources;
  readonly #trace: Trace;
  readonly #assessment: Assessment;
  readonly #scrape: Scrape;
  readonly #collectors: readonly Collector[];
  readonly #taskRuns: TaskRuns;
  #config: Config;
  #tasks: Task[] = [];
  #ready = false;

  constructor(
    config: Config,
    private readonly logger: Logger,
    private readonly own: OwnMetrics,
    build: Build,
    learns = true,
    private readonly world: World = realWorld,
  ) {
    this.#config = config;
    this.#problemLog = new ProblemLog(logger);
    this.#host = createHost(rootsOf(config));
    this.#inventory = new Inventory(this.#host);
    const { now, pid, writer } = world;
    this.#taskRuns = new TaskRuns(now);
    this.#sampler = new Sampler(
      this.#host,
      () => ({
        maxCpus: this.#config['limits.residencyCpus'],
        intervalMs: intervalOf(this.#config['sampler.schedule']),
      }),
      now,
    );
    this.#remotes = new RemoteSources(this.#host, this.#inventory, () => this.#config, now);
    this.#trace = new Trace(
      {
        host: this.#host,
        writer,
        startPerf: perfStarter(PERF_INTERVAL_MS),
        isCopy: !this.#host.isLive,
        pid,
        now,
        sinceBoot: () => this.#sinceBoot(),
      },
      traceSettings(config),
      this.#inventory,
    );
    this.#assessment = new Assessment({
      host: this.#host,
      watched: this.#inventory,
      logger,
      residencyOf: (thread) => this.#sampler.residencyOf(thread),
      lastOf: (vm) => this.#remotes.lastOf(vm),
      now,
      sinceBoot: () => this.#sinceBoot(),
      config: () => this.#config,
      learns,
    });
    this.#collectors = createCollectors(() => ({
      allVcpuStatistics: this.#config['vcpu.statistics'] === 'all',
      vcpuReasons: this.#config['trace.vcpuReasons'],
      blockExclude: new RegExp(this.#config['block.exclude'], 'u'),
    }));
    this.#scrape = new Scrape(
      {
        host: this.#host,
        inventory: this.#inventory,
        sampler: this.#sampler,
        collectors: () =>
          this.#collectors.filter(({ name }) => this.#config[`collector.${name as CollectorName}`]),
        problemLog: this.#problemLog,
        seriesLog: new SeriesLog(logger),
        queryRemotes: (vms, withinMs) => this.#remotes.query(vms, withinMs),
        affinity: () => this.#assessment.affinity,
        stages: this.#assessment.stages,
        readTrace: (yieldIfDue) => this.#trace.readPaced(yieldIfDue),
        maxSeries: () => this.#config['limits.maxSeries'],
        build,
      },
      () => own.scrapesCoalesced.inc(),
    );
  }

  /** Whether the first full scan of the inventory is complete. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** Names of the VMs of the last scan. */
  get vmNames(): string[] {
    return this.#inventory.vms.map(({ name }) => name);
  }

  /** The VMs in the form of `/api/v1/inventory`. */
  get inventory(): object {
    const vms = this.#inventory.vms.map((vm) => ({
      vm: vm.label,
      name: vm.name,
      uuid: vm.uuid,
      vmm: vm.vmm,
      manager: vm.manager,
      accel: vm.accel,
      machine: vm.machine,
      pid: vm.pid,
      blockDevices: vm.blockDevices,
      threads: [...this.#inventory.threadsOf(vm)].map(({ tid, label, role }) => ({
        tid,
        thread: label,
        role,
      })),
    }));
    return { vms };
  }

  /** A full scan of the inventory, including each VM's threads, which the sampler needs. */
  async discover(): Promise<void> {
    const end = this.own.inventoryDuration.startTimer();
    try {
      await this.#inventory.refresh(true);
    } catch (error) {
      // Keep the VMs of the last scan; the next scan comes soon.
      if (!isExhausted(error)) throw error;
      this.#problemLog.update('inventory', [sourceError(error, this.#host.roots.procfs)]);
      return;
    }
    await this.#remotes.discover(this.#inventory.vms);
    const yielder = new Yielder();
    for (const vm of this.#inventory.vms) {
      if (yielder.isDue()) await yielder.yield();
      try {
        this.#inventory.observeThreads(vm);
      } catch (error) {
        if (!isGone(error)) this.logger.debug({ err: error, vm: vm.label }, 'threads not readable');
      }
    }
    end();
    this.#ready = true;
  }

  /**
   * Determines the stage of each VM. Counts kicks and I/Os now, independently of scrapes.
   *
   * @param patience how long to wait for perf, which reports at its own interval
   */
  async judge(patience = 0): Promise<void> {
    if (!this.#config['collector.affinity']) return;
    const yielder = new Yielder();
    const evidence = await takeEvidence({
      vms: () => this.#inventory.vms,
      readTrace: () =>
        this.#trace.readPaced(async () => {
          if (yielder.isDue()) await yielder.yield();
        }),
      current: (vm) => this.#trace.current(vm, patience),
      ios: (vms) => this.#remotes.ios(vms),
      hasMonitor: (vm) => this.#remotes.hasMonitor(vm),
      now: this.world.now,
    });
    this.#assessment.judge(evidence);
  }

  async sample(): Promise<void> {
    const end = this.own.samplerDuration.startTimer();
    const problems = await this.#sampler.sample(this.#inventory.vms, (vm) => this.#inventory.threadsOf(vm));
    this.#problemLog.update('sampler', problems);
    if (this.#config['collector.affinity']) {
      if (this.world.isVirtual) await this.#assessment.readAllMemory();
      await this.#assessment.follow();
    }
    end();
  }

  /** @param timeoutMs time limit for the result, which may be incomplete */
  async scrape(timeoutMs: number): Promise<ScrapeResult> {
    const end = this.own.scrapeDuration.startTimer();
    const result = await this.#scrape.collect(timeoutMs);
    end();
    return result;
  }

  /** Makes one collection and evaluates it. */
  async doctor(): Promise<Report> {
    await this.discover();
    await this.sample();
    await this.#trace.start();
    await this.judge();
    const result = await this.scrape(PATIENT_MS);
    await this.#trace.stop();
    return this.diagnose(result);
  }

  /** Evaluates a collection. */
  diagnose(result: ScrapeResult): Report {
    const isRoot = process.geteuid?.() === 0;
    return diagnose(result, this.#inventory.vms.length, { isRoot, lockdown: this.#lockdown() });
  }

  /**
   * Evaluates one VM from a few samples. It changes nothing: it prints commands and does not run them.
   *
   * @param name label, name or UUID of the VM
   * @returns undefined if there is no such VM
   */
  async doctorVm(name: string): Promise<VmReport | undefined> {
    await this.discover();
    const fit = truncateName(name);
    const isIt = (vm: Vm): boolean => fit !== '' && [vm.label, vm.name, vm.uuid].includes(fit);
    const vm = this.#inventory.vms.find(isIt);
    if (vm === undefined) return undefined;
    await this.#assessment.readMemory(vm);
    for (let i = 0; i < DOCTOR_SAMPLES; i++) {
      if (i > 0) await sleep(DOCTOR_SAMPLE_MS);
      await this.sample();
    }
    // Query libvirt and the monitor in the same way as a scrape does.
    await this.scrape(PATIENT_MS);
    await this.judge();
    return this.reportOn(vm.label);
  }

  /**
   * Report on one VM from the last samples and scans. @returns undefined if the VM does not exist or has not
   * been evaluated
   */
  reportOn(label: string): VmReport | undefined {
    const vm = this.#inventory.vms.find((each) => each.label === label);
    const { topology, disks } = this.#inventory;
    if (vm === undefined || topology === undefined) return undefined;
    const { affinity, stages } = this.#assessment;
    const [where, stage] = [affinity.of(vm), stages.of(vm)];
    if (where === undefined || stage === undefined) return undefined;
    return reportOn({
      ...{ vm, stage, topology, disks, affinity: where },
      statistics: this.#remotes.lastOf(vm).statistics,
      taken: takenCpus(this.#inventory.vms.flatMap((each) => affinity.of(each) ?? [])),
    });
  }

  /** Starts the tasks. The first scan and sample run at once. */
  async start(): Promise<void> {
    await this.begin();
    this.own.readTasksFrom(() => this.#taskRuns.read((task) => intervalOf(this.#scheduleOf(task))));
    this.#schedule();
  }

  /** Runs the first scan and sample without starting the tasks. The caller runs their work. */
  async begin(): Promise<void> {
    await this.discover();
    await this.sample();
    await this.#trace.start();
    await this.judge();
  }

  /** Maintains the trace events. Call it every second. */
  async tick(): Promise<void> {
    await this.#trace.tick();
  }

  async stop(): Promise<void> {
    this.#cancel();
    await this.#trace.stop();
    this.#remotes.close();
  }

  /**
   * Applies another configuration and keeps all counters.
   *
   * @returns changed keys that take effect only after a restart
   */
  async reload(config: Config): Promise<string[]> {
    const before = this.#config;
    this.#config = config;
    this.#trace.configure(traceSettings(config));
    this.#schedule();
    return (Object.keys(config) as (keyof Config)[]).filter(
      (key) => /^(web|path|state)\./.test(key) && config[key] !== before[key],
    );
  }

  #cancel(): void {
    for (const task of this.#tasks) task.stop();
    this.#tasks = [];
  }

  #schedule(): void {
    // A reload may arrive before startup is complete.
    this.#cancel();
    const work: Readonly<Record<TaskName, () => Promise<void>>> = {
      inventory: () => this.discover(),
      stages: () => this.judge(2 * PERF_INTERVAL_MS),
      sampler: () => this.sample(),
      trace: () => this.tick(),
    };
    this.#tasks = TASKS.map((task) =>
      every(this.#scheduleOf(task), task, this.logger, () => this.#taskRuns.run(task, work[task])),
    );
  }

  #scheduleOf(task: TaskName): string {
    if (task === 'trace') return EACH_SECOND;
    return this.#config[task === 'sampler' ? 'sampler.schedule' : 'inventory.schedule'];
  }

  /** The host's own clock: a copy or a simulation of a host has a different one. */
  #sinceBoot(): number {
    try {
      return readUptime(this.#host);
    } catch {
      return uptime();
    }
  }

  #lockdown(): Lockdown {
    try {
      return readLockdown(this.#host);
    } catch {
      return 'unknown';
    }
  }
}

function traceSettings(config: Config): TraceSettings {
  return {
    backend: config['collector.trace'] ? config['trace.backend'] : 'off',
    sets: traceSets(config['trace.sets']) as TraceSetName[],
    dutyCycle: config['trace.dutyCycle'],
  };
}
