import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { recordingFile } from '../alerts/rule-files.ts';
import { answer, panelWindow } from '../dashboards/preview/answers.ts';
import { windowOf } from '../dashboards/preview/interpolate.ts';
import type { Answer } from '../dashboards/preview/preview.ts';
import { instant } from '../dashboards/preview/prometheus.ts';
import { choose } from '../dashboards/preview/variables.ts';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { createBlocks } from '../lab/history/blocks.ts';
import { BlockSink } from '../lab/history/chunks.ts';
import { generateHistory } from '../lab/history/generate.ts';
import { withOwnProcess } from '../lab/history/own-process.ts';
import { serveBlocks } from '../lab/history/prometheus.ts';
import { recordRules } from '../lab/history/record.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { generated, panelsOf, queriesOf, variablesOf } from '../testing/generated.ts';
import { markdown, note } from './lab-host.ts';

// Measures the cost of the fleet dashboard in Prometheus, with an hour of the series that the dashboard
// queries, for many hosts. The labels are those of one simulated host, recorded by the rules; the values are
// made up.

const { values: options } = parseArgs({
  options: { hosts: { type: 'string', default: '1000' }, vms: { type: 'string', default: '20' } },
});
const hosts = Number(options.hosts);
const vms = Number(options.vms);
const START = 1_760_000_400;
const HOUR = 3600;
/** Seconds between samples. */
const STEP = 60;
/** History of the simulated host: long enough for the windows of the rules. */
const TEMPLATE = { hours: 0.2, stepSeconds: 15, tickSeconds: 5, seed: 1, start: START };
const SLOWEST = 5;

exitBySignal();
const { path: folder, remove } = memoryFolder('kvm-telemetry-fleet-');
const dashboard = generated('fleet');
const template = await seriesOf(namesIn(panelsOf(dashboard).flatMap(queriesOf)));
const file = `${folder}/fleet.om`;
writeFleet(file, template);
note(`${template.length} series of each of ${hosts} hosts are written`);
if (!(await createBlocks(file, `${folder}/data`))) throw new Error('promtool is not installed');
const { url, stop } = await serveBlocks(`${folder}/data`);
process.stdout.write(await measured(url));
await stop();
remove();

/** Metric names in the queries and the variables. */
function namesIn(queries: readonly { readonly expr: string }[]): string[] {
  const names = queries.flatMap(({ expr }) => [
    ...expr.matchAll(/\b((?:host|vm)\w*:[\w:]+|up|scrape_\w+|kvm_\w+)\b/g),
  ]);
  return [...new Set(['kvm_vm_info', ...names.map(([, name = '']) => name)])];
}

/** The series of one host with these names, with their last values. */
async function seriesOf(names: readonly string[]): Promise<Answer[]> {
  const data = `${folder}/template`;
  const sink = new BlockSink(folder, data);
  await generateHistory({
    ...TEMPLATE,
    scenario: (scenario) => quiet(scenario, vms),
    sink: withOwnProcess(sink),
  });
  await sink.end();
  const times = { from: START, to: START + TEMPLATE.hours * HOUR, step: TEMPLATE.stepSeconds };
  const rules = recordingFile().groups.flatMap((group) => group.rules);
  await recordRules(data, rules, times);
  const server = await serveBlocks(data);
  return instant(server.url, `{__name__=~"${names.join('|')}"}`, times.to).finally(() => server.stop());
}

/** Writes an hour of these series for all host names. Series of the same name must be adjacent. */
function writeFleet(path: string, series: readonly Answer[]): void {
  const fd = openSync(path, 'w');
  const sorted = [...series].sort((a, b) =>
    (a.metric['__name__'] ?? '') < (b.metric['__name__'] ?? '') ? -1 : 1,
  );
  for (const { metric, value } of sorted) {
    const { __name__: name = '', instance: _, ...labels } = metric;
    const inner = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
    let text = '';
    for (let host = 0; host < hosts; host++) {
      const head = [name, `{instance="host${host}:9954",`, inner.join(','), '} '].join('');
      const own = Number(value?.[1]) * (0.5 + ((host * 7919) % 1000) / 1000);
      for (let at = 0; at <= HOUR; at += STEP)
        text += `${head}${name === 'up' ? 1 : own * (1 + (at % 420) / 4200)} ${START + at}\n`;
    }
    writeSync(fd, text);
  }
  writeSync(fd, '# EOF\n');
  closeSync(fd);
}

async function measured(prometheus: string): Promise<string> {
  const [from, to] = [START, START + HOUR];
  const models = variablesOf(dashboard);
  const began = performance.now();
  const { choices } = await choose(models, prometheus, windowOf(from, to, 1000));
  const variables = performance.now() - began;
  const took: { title: string; queries: number; series: number; ms: number }[] = [];
  for (const panel of panelsOf(dashboard)) {
    const queries = queriesOf(panel).length;
    if (queries === 0) continue;
    const asked = performance.now();
    const answers = await answer(panel, prometheus, choices, panelWindow(panel, from, to));
    const series = answers.reduce((sum, one) => sum + one.series.length, 0);
    took.push({ title: panel.title ?? '', queries, series, ms: performance.now() - asked });
  }
  const total = took.reduce((sum, { ms }) => sum + ms, 0);
  const queries = took.reduce((sum, one) => sum + one.queries, 0);
  const slowest = took.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  return markdown([
    ['what', 'queries', 'series of the answer', 'ms'],
    ['variables', String(models.length), '', variables.toFixed(0)],
    ['all panels, one after the other', String(queries), '', total.toFixed(0)],
    ...slowest.map((one) => [one.title, String(one.queries), String(one.series), one.ms.toFixed(0)]),
  ]);
}
