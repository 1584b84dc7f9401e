import { pino } from 'pino';
import { readBuild } from '../../exporter/cli/build.ts';
import { memoryFolder } from '../../exporter/cli/memory-folder.ts';
import { listed } from '../../exporter/config/kinds.ts';
import { type RawValues, resolveConfig } from '../../exporter/config/load.ts';
import type { Config } from '../../exporter/config/options.ts';
import { rootsOf } from '../../exporter/config/roots.ts';
import { createOwnMetrics } from '../../exporter/daemon/own-metrics.ts';
import { Telemetry } from '../../exporter/daemon/telemetry.ts';
import type { Family } from '../../exporter/metrics/families.ts';
import { TRACE_SETS, type TraceSetName } from '../../exporter/trace/sets.ts';
import type { SimulatedHost } from '../simhost/host.ts';
import type { Scenario, ScenarioOptions, Watchers } from '../simhost/scenarios/scenario.ts';
import { SCENARIOS } from '../simhost/scenarios.ts';
import { cronOf } from './cron.ts';
import { VirtualScheduler } from './scheduler.ts';
import type { HistorySink } from './sink.ts';
import { writerFor } from './writer.ts';

export interface HistoryOptions {
  /** A name from SCENARIOS, or a function that creates a scenario. */
  readonly scenario: string | ((options: ScenarioOptions) => Scenario);
  readonly hours: number;
  /** Seconds between two collections. */
  readonly stepSeconds: number;
  /**
   * Seconds between two samples of thread placement. It must divide the step, which is the default. Sampling
   * is the largest cost.
   */
  readonly sampleSeconds?: number;
  /**
   * Seconds per step of the model. It must divide the sample interval. The default is 1, the step that the
   * model is made for.
   */
  readonly tickSeconds?: number;
  readonly seed: number;
  /** Unix time in seconds of the first collection. */
  readonly start: number;
  readonly sink: HistorySink;
  /** Settings of the exporter other than its defaults: `{ 'trace.sets': 'exits,exit_duration' }`. */
  readonly settings?: RawValues;
  /**
   * Called after each collection while the exporter is up.
   * @param at seconds since the start
   */
  readonly inspect?: (telemetry: Telemetry, at: number) => void;
}

export interface History {
  readonly collections: number;
  readonly samples: number;
}

/** Seconds between two scans of the inventory, as in inventory.schedule. */
const SCAN_SECONDS = 10;
const SECONDS_PER_HOUR = 3600;
const PATIENT_MS = 600_000;
/** Process id of the simulated exporter: the same in each run. */
const PID = 4242;
const ALWAYS: Watchers = { exporter: 'up', prometheus: 'up' };
/** Values from the real clock, which differ between runs. */
const NOT_REPEATABLE = new Set(['kvm_telemetry_collector_duration_seconds']);

/**
 * Runs a simulated host in virtual time with the exporter's normal collection. The exporter's series about
 * its own process and durations are left out, so that the same seed and start give the same samples.
 */
export async function generateHistory(options: HistoryOptions): Promise<History> {
  const { stepSeconds, sampleSeconds = stepSeconds, tickSeconds = 1, seed, start, sink } = options;
  if (stepSeconds % sampleSeconds !== 0) throw new RangeError('the step must be a multiple of the sample');
  if (sampleSeconds % tickSeconds !== 0) throw new RangeError('the sample must be a multiple of the tick');
  const make = typeof options.scenario === 'string' ? SCENARIOS[options.scenario] : options.scenario;
  if (make === undefined) throw new RangeError(`no scenario ${JSON.stringify(options.scenario)}`);
  const { path: folder, remove } = memoryFolder(`kvm-telemetry-history-${process.pid}-`);
  const { host, script, watchers = ALWAYS } = make({ seed, startTime: start });
  try {
    // Threads have a CPU only after a step.
    host.step(0);
    host.writeTo(folder, true);
    host.addProcess(PID, 'node');
    await host.serve(false);
    const config = configOf(folder, sampleSeconds, options.settings ?? {});
    const scheduler = new VirtualScheduler(() => host.time);
    let telemetry: Telemetry | undefined;
    /** Follows the script: stops the running exporter in the normal way, and starts a new one. */
    const followScript = async (): Promise<void> => {
      if (watchers.exporter === 'down') {
        await telemetry?.stop();
        telemetry = undefined;
      } else if (telemetry === undefined) {
        telemetry = telemetryOf(host, config, scheduler, start);
        await telemetry.start();
      }
    };
    const history = { collections: 0, samples: 0 };
    const collect = async (): Promise<void> => {
      if (watchers.prometheus === 'away') return;
      const families = (await telemetry?.scrape(PATIENT_MS))?.families ?? [];
      const kept = families.filter(({ name }) => !NOT_REPEATABLE.has(name));
      const all = [...kept, ...ofTheScrape(kept, telemetry !== undefined)];
      sink.take(all, start + host.time);
      if (telemetry !== undefined) options.inspect?.(telemetry, host.time);
      history.collections++;
      history.samples += all.reduce((sum, { values }) => sum + values.length, 0);
    };
    const needsEachTick = hasWindows(config);
    const end = options.hours * SECONDS_PER_HOUR;
    await followScript();
    await collect();
    while (host.time < end) {
      script();
      await followScript();
      const isSample = (host.time + tickSeconds) % sampleSeconds === 0;
      host.step(tickSeconds, isSample);
      if (isSample || needsEachTick) await scheduler.runDue();
      if (host.time % stepSeconds === 0) await collect();
    }
    await telemetry?.stop();
    return history;
  } finally {
    host.close();
    remove();
  }
}

function configOf(folder: string, sampleSeconds: number, settings: RawValues): Config {
  const own = {
    'path.rootfs': folder,
    'state.dir': `${folder}/state`,
    'sampler.schedule': cronOf(sampleSeconds),
    // Files are up to date only when a sample is taken.
    'inventory.schedule': cronOf(Math.ceil(SCAN_SECONDS / sampleSeconds) * sampleSeconds),
  };
  return resolveConfig({}, {}, { ...own, ...settings });
}

function telemetryOf(
  host: SimulatedHost,
  config: Config,
  scheduler: VirtualScheduler,
  start: number,
): Telemetry {
  const { tracefs } = rootsOf(config);
  return new Telemetry(config, {
    logger: pino({ level: 'silent' }),
    own: createOwnMetrics(),
    build: readBuild({}, true),
    learns: true,
    world: {
      now: () => host.time * 1000,
      epochMs: () => (start + host.time) * 1000,
      pid: PID,
      writer: writerFor(() => host.tracefs, tracefs),
    },
    scheduler,
  });
}

/** Sets with a duty cycle have windows; one tick opens a window and another closes it. */
function hasWindows(config: Config): boolean {
  const sets = listed(config['trace.sets']).map((name) => TRACE_SETS[name as TraceSetName]);
  return sets.some(({ dutyCycled }) => dutyCycled === true);
}

/** Series that Prometheus itself adds to a scrape. */
function ofTheScrape(families: readonly Family[], isUp: boolean): Family[] {
  const samples = families.reduce((sum, { values }) => sum + values.length, 0);
  const gauge = (name: string, help: string, value: number): Family => ({
    name,
    help,
    type: 'gauge',
    labels: [''],
    values: [value],
    suffixes: [],
  });
  return [
    gauge('up', 'Whether the scrape succeeded.', isUp ? 1 : 0),
    gauge('scrape_samples_scraped', 'Samples that the target exposed.', samples),
  ];
}
