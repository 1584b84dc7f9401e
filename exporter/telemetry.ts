import { uptime } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { isExhausted, isGone, sourceError } from '../probes/errors.ts';
import { createHost, type Host } from '../probes/host.ts';
import { type Lockdown, readLockdown } from '../probes/lockdown.ts';
import { readUptime } from '../probes/proc-uptime.ts';
import type { Collector } from './collectors/collector.ts';
import { type CollectorName, createCollectors } from './collectors/index.ts';
import { type Config, traceSets } from './config/options.ts';
import { rootsOf } from './config/roots.ts';
import { diagnose, type Report } from './doctor.ts';
import { reportOn, takenCpus, type VmReport } from './doctor-vm.ts';
import { Inventory } from './inventory/inventory.ts';
import { Methodology } from './methodology.ts';
import type { Vm } from './model/vm.ts';
import { fitName } from './model/vm-names.ts';
import type { OwnMetrics } from './own-metrics.ts';
import { Pace } from './pace.ts';
import { ProblemLog } from './problem-log.ts';
import { RemoteSources } from './remotes.ts';
import { Sampler } from './sampler.ts';
import { every, intervalOf, type Task } from './schedule.ts';
import { type Build, Scrape, type ScrapeResult } from './scrape.ts';
import { SeriesLog } from './series-log.ts';
import { takeEvidence } from './stage/evidence.ts';
import { TASKS, type TaskName, TaskRuns } from './task-runs.ts';
import { perfStarter } from './trace/perf-process.ts';
import type { TraceSetName } from './trace/sets.ts';
import { Trace } from './trace/trace.ts';
import { realWorld, type World } from './world.ts';

/** Time for a collection that nobody waits for with a deadline of his own. */
const PATIENT_MS = 60_000;
/** So many CPUs are looked at to tell on which ones a thread is. */
const DOCTOR_SAMPLES = 4;
const DOCTOR_SAMPLE_MS = 250;
/** Windows of tracepoint sets that are not always on last a second. */
const EACH_SECOND = '* * * * * *';
/**
 * perf tells what it has counted so often: a scrape shows what is at most so old. Each telling interrupts the CPUs on
 * which the vCPUs run, which is an exit for each of them.
 */
const PERF_INTERVAL_MS = 5000;

/**
 * Everything between the kernel and the exposition, put together from a configuration: inventory, sampler, scrape and
 * the tasks that drive them. Without HTTP, so that `once` and `doctor` use the same parts as `serve`.
 */
export class Telemetry {
  readonly #host: Host;
  readonly #problemLog: ProblemLog;
  readonly #inventory: Inventory;
  readonly #sampler: Sampler;
  readonly #remotes: RemoteSources;
  readonly #trace: Trace;
  readonly #methodology: Methodology;
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
      () => ({
        backend: this.#config['collector.trace'] ? this.#config['trace.backend'] : 'off',
        sets: traceSets(this.#config['trace.sets']) as TraceSetName[],
        dutyCycle: this.#config['trace.dutyCycle'],
      }),
      this.#inventory,
    );
    this.#methodology = new Methodology({
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
        askRemotes: (vms, withinMs) => this.#remotes.ask(vms, withinMs),
        affinity: () => this.#methodology.affinity,
        stages: this.#methodology.stages,
        readTrace: (breathe) => this.#trace.readPaced(breathe),
        maxSeries: () => this.#config['limits.maxSeries'],
        build,
      },
      () => own.scrapesCoalesced.inc(),
    );
  }

  /** Whether the first full pass of the inventory was made. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** Names of the VMs that the last scan found. */
  get vmNames(): string[] {
    return this.#inventory.vms.map(({ name }) => name);
  }

  /** The VMs as `/api/v1/inventory` shows them. */
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

  /** A full pass of the inventory, with a look at each VM's threads so that the sampler knows whom to follow. */
  async look(): Promise<void> {
    const end = this.own.inventoryDuration.startTimer();
    try {
      await this.#inventory.refresh(true);
    } catch (error) {
      // The VMs stay as they are, and the next look comes soon.
      if (!isExhausted(error)) throw error;
      this.#problemLog.update('inventory', [sourceError(error, this.#host.roots.procfs)]);
      return;
    }
    await this.#remotes.look(this.#inventory.vms);
    const pace = new Pace();
    for (const vm of this.#inventory.vms) {
      if (pace.isDue()) await pace.giveWay();
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
   * Judges which stage each VM is in. Kicks and I/Os are counted now, whether somebody scrapes or not.
   *
   * @param patience waits for perf, which reports at times of its own
   */
  async judge(patience = 0): Promise<void> {
    if (!this.#config['collector.affinity']) return;
    const pace = new Pace();
    const evidence = await takeEvidence({
      vms: () => this.#inventory.vms,
      readTrace: () =>
        this.#trace.readPaced(async () => {
          if (pace.isDue()) await pace.giveWay();
        }),
      current: (vm) => this.#trace.current(vm, patience),
      ios: (vms) => this.#remotes.ios(vms),
      hasMonitor: (vm) => this.#remotes.hasMonitor(vm),
      now: this.world.now,
    });
    this.#methodology.judge(evidence);
  }

  async sample(): Promise<void> {
    const end = this.own.samplerDuration.startTimer();
    const problems = await this.#sampler.sample(this.#inventory.vms, (vm) => this.#inventory.threadsOf(vm));
    this.#problemLog.update('sampler', problems);
    if (this.#config['collector.affinity']) {
      if (this.world.isVirtual) await this.#methodology.readAllMemory();
      await this.#methodology.follow();
    }
    end();
  }

  /** @param timeoutMs by when the result is there, complete or not */
  async scrape(timeoutMs: number): Promise<ScrapeResult> {
    const end = this.own.scrapeDuration.startTimer();
    const result = await this.#scrape.collect(timeoutMs);
    end();
    return result;
  }

  /** One collection, judged. */
  async doctor(): Promise<Report> {
    await this.look();
    await this.sample();
    await this.#trace.start();
    await this.judge();
    const result = await this.scrape(PATIENT_MS);
    await this.#trace.stop();
    return this.diagnose(result);
  }

  /** A collection, judged. */
  diagnose(result: ScrapeResult): Report {
    const isRoot = process.geteuid?.() === 0;
    return diagnose(result, this.#inventory.vms.length, { isRoot, lockdown: this.#lockdown() });
  }

  /**
   * One VM, judged from a few samples. Nothing is changed: commands are advised and not run.
   *
   * @param name its label, name or UUID
   * @returns undefined where there is no such VM
   */
  async doctorVm(name: string): Promise<VmReport | undefined> {
    await this.look();
    const fit = fitName(name);
    const isIt = (vm: Vm): boolean => fit !== '' && [vm.label, vm.name, vm.uuid].includes(fit);
    const vm = this.#inventory.vms.find(isIt);
    if (vm === undefined) return undefined;
    await this.#methodology.readMemory(vm);
    for (let i = 0; i < DOCTOR_SAMPLES; i++) {
      if (i > 0) await sleep(DOCTOR_SAMPLE_MS);
      await this.sample();
    }
    // libvirt and the monitor are asked as a scrape asks them.
    await this.scrape(PATIENT_MS);
    await this.judge();
    return this.reportOn(vm.label);
  }

  /** One VM, as the last samples and looks have it. @returns undefined where there is none, or none was judged yet */
  reportOn(label: string): VmReport | undefined {
    const vm = this.#inventory.vms.find((each) => each.label === label);
    const { topology, disks } = this.#inventory;
    if (vm === undefined || topology === undefined) return undefined;
    const { affinity, stages } = this.#methodology;
    const [where, stage] = [affinity.of(vm), stages.of(vm)];
    if (where === undefined || stage === undefined) return undefined;
    return reportOn({
      ...{ vm, stage, topology, disks, affinity: where },
      statistics: this.#remotes.lastOf(vm).statistics,
      taken: takenCpus(this.#inventory.vms.flatMap((each) => affinity.of(each) ?? [])),
    });
  }

  /** Starts the tasks; the first look and sample are made at once. */
  async start(): Promise<void> {
    await this.begin();
    this.own.readTasksFrom(() => this.#taskRuns.read((task) => intervalOf(this.#scheduleOf(task))));
    this.#schedule();
  }

  /** The first look and sample, without tasks: what they do is left to the caller. */
  async begin(): Promise<void> {
    await this.look();
    await this.sample();
    await this.#trace.start();
    await this.judge();
  }

  /** Looks after the trace events: once a second. */
  async tick(): Promise<void> {
    await this.#trace.tick();
  }

  async stop(): Promise<void> {
    this.#cancel();
    await this.#trace.stop();
    this.#remotes.close();
  }

  /**
   * Takes over another configuration without losing what was counted.
   *
   * @returns keys that changed but take a restart
   */
  async reload(config: Config): Promise<string[]> {
    const before = this.#config;
    this.#config = config;
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
    // A reload may have come before the start was through.
    this.#cancel();
    const work: Readonly<Record<TaskName, () => Promise<void>>> = {
      inventory: () => this.look(),
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

  /** By the host's clock, which a copy or a simulation of a host has of its own. */
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
