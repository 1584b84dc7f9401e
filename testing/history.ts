import { join } from 'node:path';
import { alertingFile, recordingFile } from '../alerts/rule-files.ts';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { cpuMetrics } from '../exporter/metrics/cpu.ts';
import { memoryMetrics } from '../exporter/metrics/memory.ts';
import { BlockSink } from '../lab/history/chunks.ts';
import { EVALUATION_MINUTES, evaluation } from '../lab/history/evaluation.ts';
import { generateHistory } from '../lab/history/generate.ts';
import { withOwnProcess } from '../lab/history/own-process.ts';
import { serveBlocks } from '../lab/history/prometheus.ts';
import { recordRules } from '../lab/history/record.ts';
import type { SimulatedHost } from '../lab/simhost/host.ts';
import type { Scenario, ScenarioOptions } from '../lab/simhost/scenarios/scenario.ts';
import { demo, troubled } from '../lab/simhost/scenarios.ts';

/** Stops the processes that were started. */
interface Owner {
  after(end: () => unknown): void;
}

export interface HistoryServer {
  readonly url: string;
  /** Seconds of the epoch. */
  readonly from: number;
  readonly to: number;
}

/** Hosts of a history: scenario and seed by instance. */
export interface HistoryHost {
  readonly instance: string;
  readonly scenario: 'evaluation' | 'demo' | 'troubled' | ((options: ScenarioOptions) => Scenario);
  readonly seed: number;
  /** Called before each step with the host as it is. */
  readonly watch?: (host: SimulatedHost) => void;
}

/** VMs of a host that only fills the picture of a fleet. */
const FEW = 12;
const STEP = 15;
const SECONDS = EVALUATION_MINUTES * 60;
const TRACE_SETS = 'exits,notifications,interrupts,halt_poll,block,exit_duration,block_duration';

/** Metrics that the profile of the other rows lacks. */
const IN_COLLAPSED_ROWS = Object.keys({ ...cpuMetrics, ...memoryMetrics }).join();

/**
 * A Prometheus with the history of hosts, one of which runs the paper's evaluation, recorded series and alerts
 * included.
 */
export async function historyServer(
  context: Owner,
  hosts: readonly HistoryHost[],
  start: number,
): Promise<HistoryServer> {
  const { path: folder, remove } = memoryFolder('kt-dashboards-');
  context.after(remove);
  const data = join(folder, 'data');
  for (const { instance, scenario, seed, watch } of hosts) {
    const state = join(folder, `state-${instance}`);
    const sink = new BlockSink(folder, data, `instance="${instance}",job="kvm-telemetry"`);
    await generateHistory({
      scenario: watched(scenarioOf(scenario, state), watch),
      hours: SECONDS / 3600,
      stepSeconds: STEP,
      seed,
      start,
      sink: withOwnProcess(sink),
      settings: { 'state.dir': state, 'trace.sets': TRACE_SETS, 'metrics.allow': IN_COLLAPSED_ROWS },
    });
    await sink.end();
  }
  const times = { from: start, to: start + SECONDS, step: STEP };
  const rules = [...recordingFile().groups, ...alertingFile().groups].flatMap((group) => group.rules);
  await recordRules(data, rules, times);
  // A sample is seen for two steps, as a query of a dashboard does not fall on the times of the samples.
  const { url, stop } = await serveBlocks(data, 2 * STEP);
  context.after(stop);
  return { url, from: times.from, to: times.to };
}

function scenarioOf(
  scenario: HistoryHost['scenario'],
  state: string,
): (options: ScenarioOptions) => Scenario {
  if (typeof scenario === 'function') return scenario;
  if (scenario === 'evaluation') return evaluation(state);
  return scenario === 'troubled' ? (options) => troubled(options, FEW) : demo;
}

function watched(
  make: (options: ScenarioOptions) => Scenario,
  watch: HistoryHost['watch'],
): (options: ScenarioOptions) => Scenario {
  if (watch === undefined) return make;
  return (options) => {
    const scenario = make(options);
    const script = (): void => {
      watch(scenario.host);
      scenario.script();
    };
    return { ...scenario, script };
  };
}
