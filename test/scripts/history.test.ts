import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createBlocks } from '../../lab/history/blocks.ts';
import { cronOf } from '../../lab/history/cron.ts';
import { generateHistory, type History } from '../../lab/history/generate.ts';
import { OpenMetricsFile } from '../../lab/history/sink.ts';
import { demo } from '../../lab/simhost/scenarios.ts';
import { prometheusOn } from '../../testing/prometheus.ts';
import { hasTool } from '../../testing/tools.ts';

const START = 1_760_000_400;
const STEP = 15;
const MINUTES = 10;
/** Of the demo's script: io exits of `web`, so many a second, in this time. */
const STORM = { perSecond: 300_000, from: 30, to: 90 };
/** Period of the script in seconds. */
const ROUND = 480;

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'kt-history-'));
after(() => rmSync(folder, { recursive: true }));

async function generate(name: string, change: object = {}): Promise<{ path: string; history: History }> {
  const path = join(folder, name);
  const sink = new OpenMetricsFile(path);
  // No monitor of the demo hangs. A late response comes from a busy machine.
  const settings = { 'qmp.timeoutSeconds': 30 };
  const options = {
    scenario: 'demo',
    hours: MINUTES / 60,
    stepSeconds: STEP,
    seed: 3,
    start: START,
    sink,
    settings,
  };
  const history = await generateHistory({ ...options, ...change });
  await sink.end();
  return { path, history };
}

/** Values by second since the start, by series. */
type Parsed = ReadonlyMap<string, ReadonlyMap<number, number>>;

function parse(text: string): { series: Parsed; types: ReadonlyMap<string, string> } {
  const series = new Map<string, Map<number, number>>();
  const types = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, family = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (family !== '') types.set(family, type);
    const [, name = '', value, at] = /^([^#].*) (\S+) (\d+)$/.exec(line) ?? [];
    if (name === '') continue;
    const values = series.get(name) ?? new Map<number, number>();
    series.set(name, values);
    assert.ok(Number(at) > START + ([...values.keys()].at(-1) ?? -1), `time goes on: ${line}`);
    values.set(Number(at) - START, Number(value));
  }
  return { series, types };
}

function labelOf(series: string, label: string): string | undefined {
  return new RegExp(`[{,]${label}="([^"]*)"`).exec(series)?.[1];
}

describe('ten minutes of the demo in virtual time', () => {
  let path: string;
  let history: History;
  let series: Parsed;
  let types: ReadonlyMap<string, string>;

  before(async () => {
    ({ path, history } = await generate('history.om'));
    ({ series, types } = parse(readFileSync(path, 'utf8')));
  });

  /** The only series with this prefix and this VM label. */
  function of(name: string, vm: string): ReadonlyMap<number, number> {
    const [found, ...more] = [...series].filter(
      ([key]) => key.startsWith(`${name}{`) && labelOf(key, 'vm') === vm,
    );
    assert.ok(found !== undefined && more.length === 0, `${name} of ${vm}`);
    return found[1];
  }

  it('are reproducible for a seed and a start time', async () => {
    const again = await generate('again.om');
    assert.ok(readFileSync(path).equals(readFileSync(again.path)));
    assert.deepEqual(again.history, history);
    const short = { hours: 1 / 60 };
    const [one, other] = [await generate('one.om', short), await generate('other.om', { ...short, seed: 4 })];
    assert.ok(!readFileSync(one.path).equals(readFileSync(other.path)));
  });

  it('leave no files behind', async () => {
    await generate('short.om', { hours: 1 / 60 });
    const own = `kvm-telemetry-history-${process.pid}-`;
    assert.deepEqual(
      readdirSync('/dev/shm').filter((name) => name.startsWith(own)),
      [],
    );
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.endsWith('.parts')),
      [],
    );
  });

  it('have a collection at each step, with the labels of a scrape', () => {
    assert.equal(history.collections, (MINUTES * 60) / STEP + 1);
    const up = series.get('up{instance="sim-host:9954",job="kvm-telemetry"}');
    assert.deepEqual(
      [...(up?.keys() ?? [])],
      Array.from({ length: history.collections }, (_, i) => i * STEP),
    );
    for (const key of series.keys()) {
      assert.ok(key.includes('{instance="sim-host:9954",job="kvm-telemetry"'), key);
      assert.doesNotMatch(key, /^(process_|nodejs_)|duration_seconds.*collector=/);
    }
    assert.equal(
      [...series.values()].reduce((sum, { size }) => sum + size, 0),
      history.samples,
    );
  });

  it('have only counters that never fall, except at a reboot of a VM', () => {
    const reboots = [...series.keys()].filter(
      (key) => key.startsWith('kvm_vm_info{') && !series.get(key)?.has(0),
    );
    const rebooted = new Set(reboots.map((key) => labelOf(key, 'vm')));
    assert.deepEqual([...rebooted].sort(), ['build', 'kv']);
    const rebootAt = Math.min(...reboots.flatMap((key) => [...(series.get(key)?.keys() ?? [])]));
    let counters = 0;
    for (const [key, values] of series) {
      const family = key.slice(0, key.indexOf('{')).replace(/_(total|bucket|sum|count)$/, '');
      const type = types.get(family);
      if (type !== 'counter' && type !== 'histogram') continue;
      counters++;
      let [last, before] = [0, 0];
      for (const [at, value] of values) {
        const isReboot = rebooted.has(labelOf(key, 'vm')) && last < rebootAt && at >= rebootAt;
        assert.ok(value >= before || isReboot, `${key} at ${at}: ${before} -> ${value}`);
        [last, before] = [at, value];
      }
    }
    assert.ok(counters > 1000);
  });

  it('show the storm and its end', () => {
    const exits = of('kvm_vm_io_exits_total', 'web');
    for (const [at, value] of exits) {
      if (at === 0) continue;
      const rate = (value - (exits.get(at - STEP) ?? 0)) / STEP;
      const isStorm = at % ROUND > STORM.from && at % ROUND <= STORM.to;
      if (isStorm) assert.ok(Math.abs(rate / STORM.perSecond - 1) < 0.001, `${rate} at ${at}`);
      else assert.equal(rate, 0, `at ${at}`);
    }
  });

  it('credit each thread with the whole time, and count what tracing counts', () => {
    const residency = [...series].filter(
      ([key]) => key.startsWith('kvm_thread_cpu_residency') && labelOf(key, 'vm') === 'web',
    );
    const ofThread = residency.filter(([key]) => labelOf(key, 'thread') === 'vcpu0');
    const seconds = ofThread.reduce((sum, [, values]) => sum + ([...values.values()].at(-1) ?? 0), 0);
    assert.equal(seconds, MINUTES * 60);
    const [active] = [...series].filter(([key]) => key.startsWith('kvm_telemetry_trace_active_ratio{'));
    assert.ok(active !== undefined);
    const traced = [...series]
      .filter(([key]) => key.startsWith('kvm_vm_exits_by_reason_total{') && labelOf(key, 'vm') === 'web')
      .reduce((sum, [, values]) => sum + (values.get(600) ?? 0) - (values.get(300) ?? 0), 0);
    const counted = of('kvm_vm_exits_total', 'web');
    assert.equal(traced, (counted.get(600) ?? 0) - (counted.get(300) ?? 0));
  });

  it('are accepted by promtool, and Prometheus shows the storm from the blocks', async (context) => {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus')) return;
    const data = join(folder, 'data');
    assert.equal(await createBlocks(path, data), true);
    const prometheus = await prometheusOn(context, data);
    const query = 'rate(kvm_vm_io_exits_total{job="kvm-telemetry"}[30s])';
    const result = await prometheus.range(query, START + 30, START + MINUTES * 60, STEP);
    const web = result.find(({ metric }) => metric['vm'] === 'web');
    const at = (second: number): number =>
      Number(web?.values.find(([time]) => time === START + second)?.[1] ?? Number.NaN);
    assert.ok(Math.abs(at(75) / STORM.perSecond - 1) < 0.01, `${at(75)}`);
    assert.ok(at(150) < STORM.perSecond * 0.01, `${at(150)}`);
    const up = await prometheus.range('count_over_time(up[10m])', START + 600, START + 600, STEP);
    assert.ok(Number(up[0]?.values[0]?.[1]) >= 40);
  });
});

describe('the options of a history', () => {
  it('accept any scenario, scans between collections, and settings of the exporter', async () => {
    const change = {
      scenario: demo,
      hours: 1 / 60,
      stepSeconds: 30,
      sampleSeconds: 10,
      tickSeconds: 5,
      settings: { 'trace.backend': 'off', 'collector.block': false },
    };
    const { path, history } = await generate('other-options.om', change);
    const text = readFileSync(path, 'utf8');
    assert.equal(history.collections, 3);
    assert.ok(!text.includes('kvm_block_') && !text.includes('kvm_vm_exits_by_reason'));
    const exits = [...parse(text).series].find(
      ([key]) => key.startsWith('kvm_vm_io_exits_total{') && labelOf(key, 'vm') === 'web',
    );
    assert.deepEqual(
      [...(exits?.[1] ?? [])].map(([, value]) => value / STORM.perSecond),
      [0, 0, 30],
    );
  });

  it('are checked', async () => {
    const sink = { take: () => undefined };
    const options = { scenario: 'demo', hours: 1, stepSeconds: 15, seed: 1, start: START, sink };
    await assert.rejects(generateHistory({ ...options, scenario: 'none' }), /no scenario "none"/);
    await assert.rejects(generateHistory({ ...options, sampleSeconds: 10 }), /multiple of the sample/);
    await assert.rejects(generateHistory({ ...options, tickSeconds: 2 }), /multiple of the tick/);
    await assert.rejects(generateHistory({ ...options, stepSeconds: 7 }), /7 s/);
    assert.deepEqual(
      [1, 15, 60, 300].map((seconds) => cronOf(seconds)),
      ['*/1 * * * * *', '*/15 * * * * *', '0 * * * * *', '0 */5 * * * *'],
    );
  });
});
