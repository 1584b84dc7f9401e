import { parseArgs } from 'node:util';
import { CENTRAL_GROUP } from '../alerts/recording.ts';
import { recordingFile } from '../alerts/rule-files.ts';
import { answer, panelWindow } from '../dashboards/preview/answers.ts';
import { type Choices, windowOf } from '../dashboards/preview/interpolate.ts';
import type { Answer } from '../dashboards/preview/preview.ts';
import { instant, range } from '../dashboards/preview/prometheus.ts';
import { choose } from '../dashboards/preview/variables.ts';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { BlockSink } from '../lab/history/chunks.ts';
import { generateHistory } from '../lab/history/generate.ts';
import { withOwnProcess } from '../lab/history/own-process.ts';
import { serveBlocks } from '../lab/history/prometheus.ts';
import { recordRules } from '../lab/history/record.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { generated, panelsOf, queriesOf, variablesOf } from '../testing/generated.ts';
import { startVictoria } from '../testing/victoria-metrics.ts';
import { markdown, note } from './lab-host.ts';
import { cpuSeconds, memory } from './process-cost.ts';

// Measures the queries of the fleet dashboard in VictoriaMetrics, with hours of the series that they select, for many hosts.
// The labels are those of one simulated host, recorded by the rules; the values are made up.

const { values: options } = parseArgs({
  options: { hosts: { type: 'string', default: '1000' }, vms: { type: 'string', default: '50' } },
});
const hosts = Number(options.hosts);
const vms = Number(options.vms);
const CLUSTERS = 20;
const START = 1_760_000_400;
/** The default range of the dashboard. */
const RANGE = 3 * 3600;
/** Seconds between samples, as in docs/fleet.md for 10,000 hosts. */
const STEP = 60;
/** Samples of series that are queried at the end of the range only. */
const LAST = 3;
/** History of the simulated host: long enough for the windows of the rules. */
const TEMPLATE = { hours: 0.2, stepSeconds: 15, tickSeconds: 5, seed: 1, start: START };
/** More than the top of a host has. */
const TEMPLATE_VMS = 12;
const LINES = 20_000;
/** The series that the dashboard would read without `vm_top:`. */
const OF_ALL_VMS = 'vm:kvm_excess_exits:per_vcpu';

exitBySignal();
const { path: folder, remove } = memoryFolder('kvm-telemetry-fleet-');
const dashboard = generated('fleet');
const queries = panelsOf(dashboard).flatMap(queriesOf);
// The simulated history is not scraped.
const UP: Answer = { metric: { __name__: 'up', job: 'kvm-telemetry' }, value: [START, '1'] };
/** Rules of the store, which it evaluates here over the series of all hosts. */
const central = recordingFile()
  .groups.filter(({ name }) => name === CENTRAL_GROUP)
  .flatMap(({ rules }) => rules.map(({ record = '', expr }) => ({ record, expr })));
const drawn = queries.filter((query) => !(query as unknown as { instant: boolean }).instant);
const inputsOf = (names: readonly string[]): string[] =>
  namesIn(central.filter(({ record }) => names.includes(record)));
const template = [...(await seriesOf([...namesIn(queries), ...namesIn(central)])), UP];
const { url, pid, stop } = await startVictoria(`${folder}/store`);
const written = await writeFleet(template, new Set([...namesIn(drawn), ...inputsOf(namesIn(drawn))]));
await recordCentral();
note(`${written.series} series and ${written.samples} samples of ${hosts} hosts are in the store`);
process.stdout.write(await measured(url));
note(`the store takes ${memory(pid).rssMiB.toFixed(0)} MiB, at most ${memory(pid).peakMiB.toFixed(0)}`);
await stop();
remove();

/** Metric names in the queries and the variables. */
function namesIn(queries: readonly { readonly expr: string }[]): string[] {
  const names = queries.flatMap(({ expr }) => [
    ...expr.matchAll(/\b((?:host|vm|cluster)\w*:[\w:]+|up|scrape_\w+|kvm_\w+)\b/g),
  ]);
  return [...new Set(['kvm_vm_info', ...names.map(([, name = '']) => name)])];
}

/** The series of one host with these names, with their last values. */
async function seriesOf(names: readonly string[]): Promise<Answer[]> {
  const data = `${folder}/template`;
  const sink = new BlockSink(folder, data);
  await generateHistory({
    ...TEMPLATE,
    scenario: (scenario) => quiet(scenario, TEMPLATE_VMS),
    sink: withOwnProcess(sink),
  });
  await sink.end();
  const times = { from: START, to: START + TEMPLATE.hours * 3600, step: TEMPLATE.stepSeconds };
  const rules = recordingFile()
    .groups.filter(({ name }) => name !== CENTRAL_GROUP)
    .flatMap((group) => group.rules);
  await recordRules(data, rules, times);
  const server = await serveBlocks(data);
  return instant(server.url, `{__name__=~"${names.join('|')}"}`, times.to).finally(() => server.stop());
}

/** Writes these series for all hosts. Only those of some names have a sample for each step of the range. */
async function writeFleet(
  series: readonly Answer[],
  overTime: ReadonlySet<string>,
): Promise<{ series: number; samples: number }> {
  const all = Array.from({ length: RANGE / STEP + 1 }, (_, i) => 1000 * (START + i * STEP));
  const last = all.slice(-LAST);
  const texts = { all: all.join(), last: last.join() };
  const sent = { series: 0, samples: 0 };
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    const { ok, status } = await fetch(`${url}/api/v1/import`, { method: 'POST', body: batch.join('\n') });
    if (!ok) throw new Error(`victoria-metrics: ${status}`);
    batch = [];
  };
  const write = async (
    metric: Answer['metric'],
    value: number,
    host: number,
    isLast: boolean,
  ): Promise<void> => {
    const own = metric['__name__'] === 'up' ? 1 : value * (0.5 + ((host * 7919) % 1000) / 1000);
    const times = isLast ? last : all;
    const wave = metric['__name__'] === 'up' ? 0 : 1 / 70;
    const values = times.map((_, i) => Number((own * (1 + (i % 7) * wave)).toPrecision(4)));
    const labels = {
      ...metric,
      cluster: `c${host % CLUSTERS}`,
      rack: `r${host % 200}`,
      instance: `host${host}:9954`,
    };
    batch.push(
      `{"metric":${JSON.stringify(labels)},"values":[${values.join()}],"timestamps":[${isLast ? texts.last : texts.all}]}`,
    );
    sent.series++;
    sent.samples += times.length;
    if (batch.length * times.length > LINES * LAST) await flush();
  };
  for (let host = 0; host < hosts; host++) {
    for (const { metric, value } of series)
      await write(metric, Number(value?.[1]), host, !overTime.has(metric['__name__'] ?? ''));
    for (let vm = 0; vm < vms; vm++)
      await write({ __name__: OF_ALL_VMS, job: 'kvm-telemetry', vm: `vm${vm}` }, 10 * vm, host, true);
    if (host % 1000 === 999) note(`${host + 1} hosts`);
  }
  await flush();
  await fetch(`${url}/internal/force_flush`);
  return sent;
}

/**
 * Adds the series that the rules of the store would have recorded: over the range, or only at its end if no panel
 * draws them.
 */
async function recordCentral(): Promise<void> {
  const isDrawn = new Set(namesIn(drawn));
  const end = START + RANGE;
  for (const { record, expr } of central) {
    const from = isDrawn.has(record) ? START : end - LAST * STEP;
    const series = await range(url, expr, { from, to: end, step: STEP });
    const lines = series.map(({ metric, values = [] }) =>
      JSON.stringify({
        metric: { ...metric, __name__: record },
        values: values.map(([, value]) => Number(value)),
        timestamps: values.map(([at]) => at * 1000),
      }),
    );
    const { ok } = await fetch(`${url}/api/v1/import`, { method: 'POST', body: lines.join('\n') });
    if (!ok) throw new Error(`victoria-metrics does not take ${record}`);
  }
  note(`the rules of the store are evaluated for ${RANGE / STEP} minutes`);
  await fetch(`${url}/internal/force_flush`);
}

async function measured(victoria: string): Promise<string> {
  const [from, to] = [START, START + RANGE];
  const models = variablesOf(dashboard);
  const rows: { what: string; queries: number; series: number; ms: number; slowest: number; cpu: number }[] =
    [];
  /** @param works one after the other; each gives its number of series */
  const time = async (
    what: string,
    count: number,
    ...works: readonly (() => Promise<number>)[]
  ): Promise<void> => {
    const cpu = cpuSeconds(pid);
    const times: number[] = [];
    let series = 0;
    for (const work of works) {
      const began = performance.now();
      series += await work();
      times.push(performance.now() - began);
    }
    rows.push({
      what,
      queries: count,
      series,
      ms: times.reduce((sum, ms) => sum + ms, 0),
      slowest: Math.max(...times),
      cpu: 1000 * (cpuSeconds(pid) - cpu),
    });
  };
  let choices: Choices = new Map();
  await time('variables', models.length, async () => {
    ({ choices } = await choose(models, victoria, windowOf(from, to, 1000)));
    return 0;
  });
  for (const panel of panelsOf(dashboard)) {
    const count = queriesOf(panel).length;
    if (count === 0) continue;
    const window = panelWindow(panel, from, to);
    const each = (panel.targets ?? []).map((target) => async () => {
      const answers = await answer({ ...panel, targets: [target] }, victoria, choices, window);
      return answers.reduce((sum, one) => sum + one.series.length, 0);
    });
    await time(panel.title ?? '', count, ...each);
  }
  await time('one evaluation of the rules of the store', central.length, async () => {
    let found = 0;
    for (const { expr } of central) found += (await instant(victoria, expr, to)).length;
    return found;
  });
  await time(`topk over \`${OF_ALL_VMS}\` of all VMs`, 1, async () => {
    const query = `topk(10, ${OF_ALL_VMS})`;
    return instant(victoria, query, to).then(
      (found) => found.length,
      (error: Error) => {
        note(error.message);
        return 0;
      },
    );
  });
  return markdown([
    ['panel', 'queries', 'series of the answer', 'ms', 'ms of the slowest query', 'ms of CPU of the store'],
    ...rows.map(({ what, queries: count, series, ms, slowest, cpu }) => [
      what,
      String(count),
      String(series),
      ms.toFixed(0),
      slowest.toFixed(0),
      cpu.toFixed(0),
    ]),
  ]);
}
