import { hostname, uptime } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { MSEC_PER_SEC } from '../../kernel/units.ts';
import { createHost, type Host } from '../../probes/host.ts';
import { readKernelNames } from '../../probes/proc-sys-kernel.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import { Assessment } from '../assessment/assessment.ts';
import type { Evidence } from '../assessment/cause/evidence.ts';
import { EventLog } from '../assessment/event-log.ts';
import { Sampler } from '../assessment/sampler.ts';
import { createCollectors } from '../collectors/index.ts';
import { Recorder } from '../compare/recording/recorder.ts';
import { reportInThread } from '../compare/scheduled/in-thread.ts';
import { Reports } from '../compare/scheduled/reports.ts';
import type { Config } from '../config/options.ts';
import { rootsOf } from '../config/roots.ts';
import { Doctor } from '../doctor/doctor.ts';
import { Inventory } from '../inventory/inventory.ts';
import type { Build } from '../metrics/self.ts';
import type { HostEvent } from '../model/host-event.ts';
import { type Visibility, visibilityOf } from '../model/visibility.ts';
import type { Vm } from '../model/vm.ts';
import type { VmCounters } from '../model/vm-counters.ts';
import { HostHistory } from '../page/history/host-history.ts';
import { repeat } from '../schedule/repeat.ts';
import { CronScheduler, type Scheduler } from '../schedule/scheduler.ts';
import { TaskRuns } from '../schedule/task-runs.ts';
import { ProblemLog } from '../scrape/problem-log.ts';
import { Scrape, type ScrapeResult } from '../scrape/scrape.ts';
import { SeriesLog } from '../scrape/series-log.ts';
import { KernelThreads } from '../sources/bpf/threads.ts';
import { RemoteSources } from '../sources/remotes.ts';
import { traceObjectLoader } from '../trace/bpf/loader.ts';
import { perfStarter } from '../trace/perf-process.ts';
import { Trace } from '../trace/trace.ts';
import type { OwnMetrics } from './own-metrics.ts';
import { PeriodicWork } from './periodic-work.ts';
import { PERF_INTERVAL_MS, type Settings, settingsOf } from './settings.ts';
import { realWorld, type World } from './world.ts';

/** Time for the scrape of a recording. */
const RECORD_TIMEOUT_MS = 10_000;

export interface TelemetryDependencies {
  readonly logger: Logger;
  readonly own: OwnMetrics;
  readonly build: Build;
  /** Whether learned state is written to --state.dir. False for commands that run beside the daemon. */
  readonly learns: boolean;
  readonly world?: World;
  readonly scheduler?: Scheduler;
}

/**
 * Everything between the kernel and the exposition, built from a configuration. It does not include HTTP, so
 * that `once` and `doctor` use the same code as `serve`.
 */
export class Telemetry {
  readonly inventory: Inventory;
  readonly assessment: Assessment;
  readonly work: PeriodicWork;
  readonly doctor: Doctor;
  readonly events: EventLog;
  readonly history: HostHistory;
  readonly #sampler: Sampler;
  readonly #kernelThreads: KernelThreads;
  readonly #remotes: RemoteSources;
  readonly #trace: Trace;
  readonly #scrape: Scrape;
  readonly #taskRuns: TaskRuns;
  readonly #scheduler: Scheduler;
  readonly #own: OwnMetrics;
  readonly #recorder: Recorder;
  readonly #reports: Reports;
  readonly #epochMs: () => number;
  #config: Config;
  #settings: Settings;
  #isStarted = false;

  constructor(config: Config, dependencies: TelemetryDependencies) {
    const { logger, own, build, learns, world = realWorld } = dependencies;
    const { now, epochMs, pid, writer } = world;
    this.#config = config;
    this.#own = own;
    this.#epochMs = epochMs;
    this.#settings = settingsOf(config);
    this.#scheduler = dependencies.scheduler ?? new CronScheduler(logger);
    this.#taskRuns = new TaskRuns(now);
    const host = createHost(rootsOf(config));
    this.#recorder = new Recorder(hostnameOf(host));
    this.#reports = new Reports(reportInThread, logger);
    const problemLog = new ProblemLog(logger);
    const sinceBoot = (): number => secondsSinceBoot(host);
    const kernelThreads = new KernelThreads(host, this.#settings.remotes.kernel);
    const inventory = new Inventory(host, kernelThreads, () => remotes.vmHolders());
    const sampler = new Sampler(host, this.#settings.sampler, now);
    const remotes: RemoteSources = new RemoteSources(host, inventory, this.#settings.remotes, now);
    const trace = new Trace(
      {
        host,
        writer,
        startPerf: perfStarter(PERF_INTERVAL_MS),
        loadTraceObject: traceObjectLoader(host),
        repeat,
        isCopy: !host.isLive,
        pid,
        now,
        sinceBoot,
      },
      this.#settings.trace,
      inventory,
    );
    // A step of the wall clock must not tear the history.
    const startedAt = epochMs() - now();
    const steadyMs = (): number => Math.round(startedAt + now());
    const events = new EventLog(steadyMs);
    const onEvent = (event: HostEvent): void => events.add(event);
    const history = new HostHistory({ onEvent, everyMs: () => this.#settings.intervals.stages });
    const assessment = new Assessment(
      {
        host,
        watched: inventory,
        logger,
        residencyOf: (thread) => sampler.residencyOf(thread),
        lastOf: (vm) => remotes.lastOf(vm),
        onEvent,
        now,
        epochMs,
        sinceBoot,
        stateDirectory: config['state.dir'],
        learns,
      },
      this.#settings.affinity,
    );
    this.#scrape = new Scrape(
      {
        host,
        inventory,
        sampler,
        collectors: createCollectors(),
        problemLog,
        seriesLog: new SeriesLog(logger),
        readsKernel: () => remotes.readsKernel || kernelThreads.isWanted,
        queryRemotes: (vms, withinMs) => remotes.query(vms, withinMs),
        affinity: () => assessment.affinity,
        stages: assessment.stages,
        readTrace: (yieldIfDue) => trace.readPaced(yieldIfDue),
        build,
        onCoalesced: () => own.scrapesCoalesced.inc(),
      },
      this.#settings.scrape,
    );
    const taskRuns = this.#taskRuns;
    const record = (vms: readonly VmCounters[], evidence: ReadonlyMap<string, Evidence>): void =>
      history.take(steadyMs(), vms, evidence);
    this.work = new PeriodicWork(
      {
        host,
        inventory,
        sampler,
        remotes,
        trace,
        assessment,
        problemLog,
        taskRuns,
        own,
        logger,
        record,
        recordScrape: () => this.#recordScrape(),
        writeReport: () => this.#writeReport(),
        now,
      },
      this.#settings,
    );
    this.events = events;
    this.history = history;
    this.doctor = new Doctor({ host, inventory, assessment, remotes });
    this.#sampler = sampler;
    this.#kernelThreads = kernelThreads;
    this.inventory = inventory;
    this.assessment = assessment;
    this.#remotes = remotes;
    this.#trace = trace;
  }

  /** @param timeoutMs time limit for the result, which may be incomplete */
  async scrape(timeoutMs: number): Promise<ScrapeResult> {
    const end = this.#own.scrapeDuration.startTimer();
    const result = await this.#scrape.collect(timeoutMs);
    end();
    return result;
  }

  async #recordScrape(): Promise<void> {
    const { record } = this.#settings;
    if (record === undefined) return;
    const at = this.#epochMs() / MSEC_PER_SEC;
    const { families } = await this.#scrape.collect(RECORD_TIMEOUT_MS);
    await this.#recorder.record(record, at, families);
  }

  async #writeReport(): Promise<void> {
    const { report } = this.#settings;
    if (report !== undefined) await this.#reports.write(report, this.#epochMs() / MSEC_PER_SEC);
  }

  /** The parts of a VM's I/O that the host sees, from the last readings. */
  visibilityOf(vm: Vm): Visibility {
    return visibilityOf(vm, this.#remotes.lastOf(vm).kernel);
  }

  /** Runs all work once, and then starts the tasks. */
  async start(): Promise<void> {
    await this.work.runOnce(true);
    this.#own.readTasksFrom(() => this.#taskRuns.read((task) => this.#settings.intervals[task]));
    this.#isStarted = true;
    this.#scheduler.start(this.work.tasks);
  }

  async stop(): Promise<void> {
    this.#scheduler.stop();
    this.#reports.stop();
    await this.#trace.stop();
    this.#remotes.close();
    this.#kernelThreads.close();
  }

  /**
   * Applies another configuration and keeps all counters.
   *
   * @returns changed keys that take effect only after a restart
   */
  async reload(config: Config): Promise<string[]> {
    const before = this.#config;
    this.#config = config;
    this.#settings = settingsOf(config);
    this.#sampler.configure(this.#settings.sampler);
    this.assessment.configure(this.#settings.affinity);
    this.#remotes.configure(this.#settings.remotes);
    this.#kernelThreads.configure(this.#settings.remotes.kernel);
    this.#trace.configure(this.#settings.trace);
    this.#scrape.configure(this.#settings.scrape);
    this.work.configure(this.#settings);
    // A reload may arrive before startup is complete.
    if (this.#isStarted) this.#scheduler.start(this.work.tasks);
    return (Object.keys(config) as (keyof Config)[]).filter(
      (key) => /^(web|path|state|log\.format)/.test(key) && !isDeepStrictEqual(config[key], before[key]),
    );
  }
}

/** The host's name: a copy or a simulation of a host has a different one. */
function hostnameOf(host: Host): string {
  try {
    return readKernelNames(host).hostname ?? hostname();
  } catch {
    return hostname();
  }
}

/** The host's own clock: a copy or a simulation of a host has a different one. */
function secondsSinceBoot(host: Host): number {
  try {
    return readUptime(host);
  } catch {
    return uptime();
  }
}
