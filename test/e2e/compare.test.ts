import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CompareFlags, runCompare } from '../../exporter/cli/compare.ts';
import { memoryFolder } from '../../exporter/cli/memory-folder.ts';
import { ConfigError } from '../../exporter/config/load.ts';
import { STAGES } from '../../exporter/metrics/stages.ts';
import { BlockSink } from '../../lab/history/chunks.ts';
import { evaluation } from '../../lab/history/evaluation.ts';
import { generateHistory } from '../../lab/history/generate.ts';
import { serveBlocks } from '../../lab/history/prometheus.ts';
import {
  CALIBRATION,
  type Calibration,
  type Configuration,
  PAPER_VCPUS,
} from '../../lab/simhost/calibration.ts';
import { ROOT } from '../../testing/daemon.ts';
import { hasTool } from '../../testing/tools.ts';

const START = 1_760_000_400;
const STEP = 5;
const STAGE_MINUTES = 4;
const END = START + STAGE_MINUTES * STAGES.length * 60;

/** The part of the JSON report that is checked. */
interface Report {
  readonly metrics: readonly { readonly id: string }[];
  readonly configurations: readonly {
    readonly name: string;
    readonly notes: readonly string[];
    readonly againstFirst: {
      readonly changes: Readonly<
        Record<
          string,
          { readonly gain: number; readonly interval: readonly [number, number]; readonly verdict: string }
        >
      >;
    } | null;
  }[];
}

/** Runs the command. */
function compare(...args: readonly string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [`${ROOT}dist/exporter/main.js`, 'compare', ...args],
    {
      encoding: 'utf8',
      timeout: 60_000,
    },
  );
  return { code: status, out: stdout, error: stderr };
}

/** CPU of a VM of the paper, in percent. */
const cpuOf = ({ vcpuGuest, vcpuSystem, ioUser, ioSystem }: Calibration): number =>
  100 * (PAPER_VCPUS * (vcpuGuest + vcpuSystem) + ioUser + ioSystem);
const exitsOf = ({ kicksPerIo, interruptsPerIo }: Calibration): number => kicksPerIo + 2 * interruptsPerIo;

/** Checks that the gains of the paper are in the intervals of the report. */
function checkGains(report: Report, configurations: readonly Configuration[]): void {
  const truth: [string, (of: Calibration) => number][] = [
    ['iops', ({ iops }) => iops],
    ['exits_per_io', exitsOf],
    ['kicks_per_io', ({ kicksPerIo }) => kicksPerIo],
    ['cpu', cpuOf],
    ['cpu_per_1000_ios', (of) => (10 * cpuOf(of)) / of.iops],
  ];
  const [first, ...others] = configurations;
  assert.ok(first);
  for (const [i, configuration] of others.entries()) {
    const changes = report.configurations[i + 1]?.againstFirst?.changes ?? {};
    for (const [id, of] of truth) {
      const gain = of(CALIBRATION[configuration]) / of(CALIBRATION[first]) - 1;
      const [low = Number.NaN, high = Number.NaN] = changes[id]?.interval ?? [];
      // The emulator's 0.3% of a CPU is not in the calibration; an I/O cannot be divided.
      const slack = 0.003 * (1 + gain);
      assert.ok(
        gain >= low - slack && gain <= high + slack,
        `${configuration} ${id}: ${gain} is not in ${low} to ${high}`,
      );
    }
  }
}

/** A Prometheus with the paper's evaluation, five minutes for each stage. */
async function evaluated(context: TestContext, folder: string): Promise<string> {
  const data = join(folder, 'data');
  const state = join(folder, 'state');
  const sink = new BlockSink(folder, data);
  await generateHistory({
    scenario: evaluation(state, { stageMinutes: STAGE_MINUTES, isAlone: true }),
    hours: (END - START) / 3600,
    stepSeconds: STEP,
    tickSeconds: STEP,
    seed: 1,
    start: START,
    sink,
    settings: { 'state.dir': state },
  });
  await sink.end();
  const { url, stop } = await serveBlocks(data);
  context.after(stop);
  return url;
}

test('compare, with a real Prometheus', async (context) => {
  if (!hasTool(context, 'prometheus', 'prometheus') || !hasTool(context, 'promtool', 'prometheus')) return;
  const { path: folder, remove } = memoryFolder('kt-compare-');
  context.after(remove);
  const url = await evaluated(context, folder);
  const out = join(folder, 'report');
  /** In this process, to save the start of another one. */
  const report = async (flags: Omit<CompareFlags, 'format' | 'confidence'>): Promise<Report> => {
    const time = flags.by === undefined ? {} : { from: `${START}`, to: `${END}` };
    const common = { prometheus: url, format: 'json', confidence: '0.95', out };
    assert.equal(await runCompare({ ...common, ...time, ...flags }), 0);
    return JSON.parse(readFileSync(out, 'utf8')) as Report;
  };

  await context.test("the paper's five configurations, as declared", async () => {
    const phases = await report({ vm: 'db', by: 'phase' });
    assert.deepEqual(
      phases.configurations.map(({ name }) => name),
      [...STAGES],
    );
    checkGains(phases, STAGES);
  });

  await context.test('Table 1: data plane, polling and CPU saving with four SATA SSDs', async () => {
    const phases = await report({ vm: 'oltp', by: 'phase' });
    assert.deepEqual(
      phases.configurations.map(({ name }) => name),
      ['data plane', 'exitless polling', 'exitless polling with CPU saving'],
    );
    checkGains(phases, ['sata_data_plane', 'sata_polling', 'sata_polling_saving']);
  });

  await context.test('stages as detected, and two given times', async () => {
    const { configurations } = await report({ vm: 'db', by: 'stage', metric: ['iops'] });
    const names = configurations.map(({ name }) => name);
    assert.deepEqual(names, STAGES);
    const seconds = STAGE_MINUTES * 60;
    const times = await report({
      vm: 'db',
      before: `${START}/${START + seconds}`,
      after: `${END - seconds}/${END}`,
    });
    checkGains(times, ['original', 'pinned_queues']);
  });

  await context.test('thresholds and exit codes', () => {
    const common = [
      '--prometheus',
      url,
      '--vm',
      'db',
      '--by',
      'phase',
      '--from',
      `${START}`,
      '--to',
      `${END}`,
    ];
    const passed = compare(...common, '--fail-if', 'exits_per_io>+10%', '--fail-if', 'cpu_per_1000_ios>+5%');
    assert.deepEqual([passed.code, passed.error], [0, '']);
    const failed = compare(...common, '--fail-if', 'exits_per_io<-10%@previous');
    assert.equal(failed.code, 1);
    assert.match(
      failed.error,
      /--fail-if exits_per_io<-10%@previous: failed: exitless_polling against affinity: /,
    );
    const unknown = compare(...common, '--metric', 'iops', '--fail-if', 'cpu_sqpoll>+5%');
    assert.equal(unknown.code, 3);
    assert.match(unknown.error, /cannot say/);
    const noVm = compare(
      '--prometheus',
      url,
      '--vm',
      'dbb',
      '--by',
      'phase',
      '--from',
      `${START}`,
      '--to',
      `${END}`,
    );
    assert.deepEqual(
      [noVm.code, noVm.error],
      [2, 'kvm-telemetry: --vm: no VM "dbb" in this time: did you mean "db"?\n'],
    );
  });

  await context.test('a file appears only with a whole report', async () => {
    const flags = { prometheus: url, by: 'phase', from: `${START}`, to: `${END}`, confidence: '0.95' };
    assert.equal(await runCompare({ ...flags, vm: 'db', format: 'html', out }), 0);
    assert.match(readFileSync(out, 'utf8'), /<!doctype html>/i);
    const none = join(folder, 'none');
    await assert.rejects(runCompare({ ...flags, vm: 'dbb', format: 'html', out: none }), ConfigError);
    assert.ok(!existsSync(none));
  });
});
