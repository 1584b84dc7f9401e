import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { exitBySignal } from '../exit-by-signal.ts';
import { BlockSink } from './chunks.ts';
import { generateHistory } from './generate.ts';
import { recordRules } from './record.ts';
import { readRules } from './rules.ts';
import { OpenMetricsFile } from './sink.ts';

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', default: 'demo' },
    hours: { type: 'string', default: '6' },
    step: { type: 'string', default: '15' },
    sample: { type: 'string' },
    tick: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    start: { type: 'string' },
    output: { type: 'string' },
    'trace-sets': { type: 'string' },
    rules: { type: 'string', multiple: true, default: [] },
    text: { type: 'boolean', default: false },
  },
});

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    say(`--${name}: ${JSON.stringify(text)} is not a positive number`);
    process.exit(2);
  }
  return value;
}

if (values.output === undefined) {
  say(
    'npm run history -- --scenario demo --hours 6 --step 15 --output DIR [--sample S] [--tick 1] [--seed 1] [--start EPOCH] [--rules FILE]... [--text]',
  );
  process.exit(2);
}
const hours = number('hours', values.hours);
const step = number('step', values.step);
const sample = number('sample', values.sample ?? values.step);
const tickSeconds = number('tick', values.tick);
const seed = number('seed', values.seed);
const newest = Math.floor(Date.now() / 1000 / step) * step;
const start = values.start === undefined ? newest - hours * 3600 : number('start', values.start);
const { output } = values;
const rules = values.rules.flatMap(readRules);
const data = join(output, 'data');
if (!values.text && spawnSync('promtool', ['--version']).status !== 0) {
  say('promtool is missing: apt-get install prometheus, or use --text');
  process.exit(2);
}
if (existsSync(data)) {
  say(`${data} already exists: choose another --output`);
  process.exit(2);
}
mkdirSync(output, { recursive: true });
exitBySignal();

const sink = values.text ? new OpenMetricsFile(join(output, 'history.om')) : new BlockSink(output, data);
const began = performance.now();
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const { collections, samples } = await generateHistory({
  scenario: values.scenario,
  hours,
  stepSeconds: step,
  sampleSeconds: sample,
  tickSeconds,
  seed,
  start,
  sink,
  settings: values['trace-sets'] === undefined ? {} : { 'trace.sets': values['trace-sets'] },
});
const collected = seconds(began);
await sink.end();
say(
  `${output}: ${collections} collections, ${samples} samples, in ${collected}; all written in ${seconds(began)}`,
);
if (!values.text) {
  if (rules.length > 0) await record();
  say('To view it:');
  say(
    `prometheus --config.file=/dev/null --storage.tsdb.path=${data} --storage.tsdb.retention.time=10y --query.lookback-delta=${step * 1000 - 1}ms`,
  );
}

async function record(): Promise<void> {
  const recording = performance.now();
  const alerts = await recordRules(data, rules, { from: start, to: start + hours * 3600, step });
  const fired = alerts.filter(({ firingAt }) => firingAt !== undefined).length;
  writeFileSync(join(output, 'alerts.json'), `${JSON.stringify(alerts, undefined, 1)}\n`);
  say(
    `${output}/alerts.json: ${alerts.length} alerts, ${fired} of which fired; rules in ${seconds(recording)}`,
  );
}
