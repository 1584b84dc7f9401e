import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { recordingGroups } from '../../alerts/recording.ts';
import { type Scenario, type ScenarioOptions, troubled } from '../../lab/simhost/scenarios.ts';
import { createBlocks } from '../../scripts/history/blocks.ts';
import { EVALUATION_MINUTES, evaluation } from '../../scripts/history/evaluation.ts';
import { generateHistory } from '../../scripts/history/generate.ts';
import { withOwnProcess } from '../../scripts/history/own-process.ts';
import { OpenMetricsFile } from '../../scripts/history/sink.ts';
import { spawnPrometheus } from '../support/prometheus.ts';

/** Who ends what was started. */
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
  readonly scenario: 'evaluation' | 'demo' | 'troubled';
  readonly seed: number;
}

/** VMs of a host that only fills the picture of a fleet. */
const FEW = 12;
const STEP = 15;
const SECONDS = EVALUATION_MINUTES * 60;

/**
 * A Prometheus that holds what hosts did while the paper's evaluation ran on one of them, recorded series included. A history
 * has no staleness markers: the lookback says how long a series that ended is seen.
 */
export async function historyServer(
  context: Owner,
  hosts: readonly HistoryHost[],
  start: number,
): Promise<HistoryServer> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kt-dashboards-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'data');
  for (const { instance, scenario, seed } of hosts) {
    const state = join(folder, `state-${instance}`);
    const path = join(folder, 'history.om');
    const sink = new OpenMetricsFile(path, `instance="${instance}",job="kvm-telemetry"`);
    await generateHistory({
      scenario: scenarioOf(scenario, state),
      ...{ hours: SECONDS / 3600, stepSeconds: STEP, seed, start, sink: withOwnProcess(sink) },
      settings: { 'state.dir': state, 'trace.sets': TRACE_SETS },
    });
    await sink.end();
    await createBlocks(path, data);
    rmSync(path);
  }
  const to = start + SECONDS;
  for (const rules of passes()) await record(data, rules, start, to);
  const server = await serve(context, data);
  return { url: server, from: start, to };
}

function scenarioOf(
  name: HistoryHost['scenario'],
  state: string,
): string | ((options: ScenarioOptions) => Scenario) {
  if (name === 'evaluation') return evaluation(state);
  return name === 'troubled' ? (options) => troubled(options, FEW) : name;
}

const TRACE_SETS = 'exits,notifications,interrupts,halt_poll,block,exit_duration,block_duration';

type Rule = readonly [name: string, expr: string];

/** promtool evaluates each rule on what is stored: those that need others come in a later pass. */
function passes(): Rule[][] {
  const { 'kvm-telemetry-baseline': _, ...groups } = recordingGroups;
  let left: Rule[] = Object.values(groups).flatMap((group) =>
    Object.entries(group).map(([name, { expr }]): Rule => [name, expr]),
  );
  const found: Rule[][] = [];
  while (left.length > 0) {
    const ready = left.filter(([, expr]) => !left.some(([other]) => expr.includes(other)));
    found.push(ready);
    left = left.filter((rule) => !ready.includes(rule));
  }
  return found;
}

async function record(data: string, rules: readonly Rule[], from: number, to: number): Promise<void> {
  const ends: (() => unknown)[] = [];
  const url = await serve({ after: (end) => ends.push(end) }, data);
  const file = `${data}.rules.yaml`;
  const group = { name: 'pass', rules: rules.map(([record, expr]) => ({ record, expr })) };
  writeFileSync(file, stringify({ groups: [group] }));
  const args = ['--start', `${from}`, '--end', `${to}`, '--url', url, '--output-dir', data];
  const made = spawnSync(
    'promtool',
    ['tsdb', 'create-blocks-from', 'rules', '--eval-interval', `${STEP}s`, ...args, file],
    { encoding: 'utf8' },
  );
  for (const end of ends) await end();
  if (made.status !== 0) throw new Error(`promtool: ${made.stderr}`);
}

async function serve(context: Owner, data: string): Promise<string> {
  const { url, hasEnded, said } = await spawnPrometheus(context as Pick<TestContext, 'after'>, '{}\n', () => [
    `--storage.tsdb.path=${data}`,
    '--storage.tsdb.retention.time=100y',
    `--query.lookback-delta=${2 * STEP}s`,
  ]);
  for (let tries = 0; ; tries++) {
    const isReady = await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return url;
    if (hasEnded() || tries > 300) throw new Error(`Prometheus: ${said()}`);
    await sleep(100);
  }
}
