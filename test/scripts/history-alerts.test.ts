import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { secondsOf } from '../../alerts/durations.ts';
import { alertSeries, alertsOver, episodesOf } from '../../lab/history/alerts.ts';
import { createBlocks } from '../../lab/history/blocks.ts';
import { serveBlocks } from '../../lab/history/prometheus.ts';
import { recordRules } from '../../lab/history/record.ts';
import { type HistoryRule, passesOf } from '../../lab/history/rules.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { prometheusOn } from '../../testing/prometheus.ts';
import { hasTool } from '../../testing/tools.ts';

const START = 1_760_000_400;
const STEP = 15;
const EVALUATIONS = Array.from({ length: 60 }, (_, i) => i);
const RULE: HistoryRule = {
  alert: 'Hot',
  expr: 'x > 1',
  for: '3s',
  keep_firing_for: '2s',
  labels: { severity: 'warning' },
};

/** An expression that holds at these times. */
function during(...times: number[]): Parameters<typeof episodesOf>[1] {
  return { metric: { vm: 'a' }, values: times.map((at) => [at, '1']) };
}

function range(from: number, to: number): number[] {
  return EVALUATIONS.filter((at) => at >= from && at <= to);
}

function times(rule: HistoryRule, held: readonly number[], evaluations = EVALUATIONS): unknown[] {
  return episodesOf(rule, during(...held), evaluations).map(({ pendingAt, firingAt, resolvedAt }) => [
    pendingAt,
    firingAt,
    resolvedAt,
  ]);
}

describe('an alert over time', () => {
  it('is pending first, and does not fire if it does not hold long enough', () => {
    assert.deepEqual(times(RULE, range(10, 12)), [[10, undefined, 13]]);
    assert.deepEqual(times(RULE, [...range(10, 12), ...range(14, 16)]), [
      [10, undefined, 13],
      [14, undefined, 17],
    ]);
  });

  it('fires after `for`, and for `keep_firing_for` after it held last', () => {
    assert.deepEqual(times(RULE, range(10, 20)), [[10, 13, 23]]);
    assert.deepEqual(times({ ...RULE, keep_firing_for: undefined }, range(10, 20)), [[10, 13, 21]]);
    assert.deepEqual(times({ ...RULE, for: undefined }, [10]), [[10, 10, 13]]);
  });

  it('continues if it holds again in time, and restarts otherwise', () => {
    assert.deepEqual(times(RULE, [...range(10, 20), ...range(22, 30)]), [[10, 13, 33]]);
    assert.deepEqual(times(RULE, [...range(10, 20), ...range(24, 30)]), [
      [10, 13, 23],
      [24, 27, 33],
    ]);
  });

  it('stays active at the end of the history and over gaps in evaluation', () => {
    assert.deepEqual(times(RULE, range(50, 59)), [[50, 53, undefined]]);
    const away = EVALUATIONS.filter((at) => at < 15 || at > 30);
    assert.deepEqual(times(RULE, [...range(10, 14), ...range(31, 35)], away), [[10, 13, 38]]);
  });

  it('has the labels of its series and of its rule', () => {
    const [episode] = episodesOf(RULE, during(...range(10, 20)), EVALUATIONS);
    assert.ok(episode !== undefined);
    assert.equal(episode.alert, 'Hot');
    assert.deepEqual(episode.labels, { vm: 'a', severity: 'warning' });
    const series = alertSeries([episode], { from: 0, to: 59, step: 1 });
    const shown = series.map(({ metric, values }) => [
      metric['alertstate'],
      values[0]?.[0],
      values.at(-1)?.[0],
    ]);
    assert.deepEqual(shown, [
      ['pending', 10, 12],
      ['firing', 13, 22],
      [undefined, 10, 22],
    ]);
  });
});

describe('rules of a history', () => {
  it('are evaluated in passes', () => {
    const rules = [
      { record: 'a:c:sum', expr: 'sum(a:b:rate) + c' },
      { record: 'a:b:rate', expr: 'rate(b[2m])' },
      { record: 'a:d:max', expr: 'max_over_time(a:c:sum[1h:5m])' },
      { alert: 'D', expr: 'a:d:max > 1' },
    ];
    const names = passesOf(rules).map((pass) => pass.map(({ record }) => record));
    assert.deepEqual(names, [['a:b:rate'], ['a:c:sum'], ['a:d:max']]);
    assert.throws(() => passesOf([{ record: 'x', expr: 'x' }]), /depend on each other: x/);
  });

  it('have durations as Prometheus writes them', () => {
    assert.deepEqual(['90s', '1h30m', '500ms', '0s', '1d'].map(secondsOf), [90, 5400, 0.5, 0, 86_400]);
    assert.throws(() => secondsOf('5'), /no duration: "5"/);
  });
});

/** Of two VMs, so that each rises above 1 and falls again, in steps. */
const VALUES: Readonly<Record<string, readonly number[]>> = {
  a: [0, 5, 5, 5, 5, 5, 5, 0, 5, 5, 0, 0, 0, 0, 5, 5, 0, 0, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0],
  b: [0, 0, 0, 5, 5, 0, 0, 5, 5, 5, 5, 5, 5, 5, 0, 5, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5],
};
const RULES: readonly HistoryRule[] = [
  { record: 'vm:x:either', expr: '(vm:x:double > 2) or x' },
  { record: 'vm:x:double', expr: 'x * 2' },
  {
    alert: 'High',
    expr: 'vm:x:double > 2',
    for: '45s',
    keep_firing_for: '30s',
    labels: { severity: 'info' },
  },
  { alert: 'Now', expr: 'x > 1' },
];

function blocksOf(context: TestContext): Promise<string> {
  const folder = temporaryFolder(context);
  const lines = Object.entries(VALUES).flatMap(([vm, values]) =>
    values.map((value, i) => `x{vm="${vm}"} ${value} ${START + i * STEP}\n`),
  );
  writeFileSync(join(folder, 'x.om'), `${lines.join('')}# EOF\n`);
  return createBlocks(join(folder, 'x.om'), join(folder, 'data')).then(() => join(folder, 'data'));
}

const LENGTH = VALUES['a']?.length ?? 0;
const TIMES = { from: START, to: START + (LENGTH - 1) * STEP, step: STEP };

describe('alerts over a history', () => {
  it('fire at the same time as in promtool', async (context) => {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus')) return;
    const data = await blocksOf(context);
    const alerts = await recordRules(data, RULES, TIMES);
    assert.ok(alerts.filter(({ firingAt }) => firingAt !== undefined).length >= 6);
    const folder = join(data, '..');
    writeFileSync(
      join(folder, 'rules.json'),
      JSON.stringify({ groups: [{ name: 'g', interval: `${STEP}s`, rules: RULES }] }),
    );
    const firingAt = (name: string, at: number): object[] =>
      alerts
        .filter(({ alert, firingAt: from, resolvedAt: to = Number.POSITIVE_INFINITY }) => {
          return alert === name && from !== undefined && at >= from && at < to;
        })
        .map(({ labels }) => ({ exp_labels: labels }));
    const alert_rule_test = VALUES['a']?.flatMap((_, i) =>
      ['High', 'Now'].map((alertname) => ({
        eval_time: `${i * STEP}s`,
        alertname,
        exp_alerts: firingAt(alertname, START + i * STEP),
      })),
    );
    const input_series = Object.entries(VALUES).map(([vm, values]) => ({
      series: `x{vm="${vm}"}`,
      values: values.join(' '),
    }));
    const tests = [{ interval: `${STEP}s`, input_series, alert_rule_test }];
    writeFileSync(
      join(folder, 'test.json'),
      JSON.stringify({ rule_files: ['rules.json'], evaluation_interval: `${STEP}s`, tests }),
    );
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', join(folder, 'test.json')], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout + stderr);
  });

  it('are series of the history, like recorded series', async (context) => {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus')) return;
    const data = await blocksOf(context);
    const alerts = await recordRules(data, RULES, TIMES);
    const prometheus = await prometheusOn(context, data, STEP);
    const ask = (query: string) => prometheus.range(query, TIMES.from, TIMES.to, STEP);
    const [doubled] = await ask('vm:x:double{vm="a"}');
    assert.deepEqual(
      doubled?.values.map(([, value]) => Number(value) / 2),
      VALUES['a'],
    );
    const either = await ask('vm:x:either{vm="a"}');
    assert.deepEqual(
      either.map(({ values }) => values.map(([, value]) => Number(value))),
      [VALUES['a']?.map((value) => value * 2)],
    );
    const firing = await ask('ALERTS{alertname="High",alertstate="firing",vm="a",severity="info"}');
    const high = alerts.filter(
      ({ alert, labels, firingAt }) => alert === 'High' && labels['vm'] === 'a' && firingAt !== undefined,
    );
    const expected = EVALUATIONS.slice(0, LENGTH)
      .map((i) => START + i * STEP)
      .filter((at) =>
        high.some(({ firingAt = 0, resolvedAt = at + 1 }) => at >= firingAt && at < resolvedAt),
      );
    assert.deepEqual(
      firing.flatMap(({ values }) => values.map(([at]) => at)),
      expected,
    );
  });

  it('are those of one Prometheus', async (context) => {
    if (!hasTool(context, 'promtool', 'prometheus') || !hasTool(context, 'prometheus', 'prometheus')) return;
    const { url, stop } = await serveBlocks(await blocksOf(context), STEP);
    context.after(stop);
    const alerts = await alertsOver(url, [{ alert: 'Now', expr: 'x > 1' }], TIMES);
    assert.deepEqual(
      alerts
        .filter(({ labels }) => labels['vm'] === 'a')
        .map(({ firingAt, resolvedAt }) => [firingAt, resolvedAt]),
      [
        [1, 7],
        [8, 10],
        [14, 16],
        [18, 24],
      ].map((each) => each.map((i) => START + i * STEP)),
    );
    await assert.rejects(alertsOver(url, [{ alert: 'Bad', expr: 'x >' }], TIMES), /parse error.*: x >/);
  });
});
