import { createReadStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { recordingFile } from '../alerts/rule-files.ts';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import type { Family } from '../exporter/metrics/families.ts';
import { PROFILES, type Profile, profileOf } from '../exporter/metrics/profiles.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import { createBlocks } from '../lab/history/blocks.ts';
import { generateHistory } from '../lab/history/generate.ts';
import { serveBlocks } from '../lab/history/prometheus.ts';
import { recordRules } from '../lab/history/record.ts';
import { OpenMetricsFile } from '../lab/history/sink.ts';
import { quiet } from '../lab/simhost/scenarios.ts';
import { fleetFiles } from '../scripts/fleet.ts';
import { startVictoria } from '../testing/victoria-metrics.ts';
import { sizeOf } from './folder-size.ts';
import { markdown, note } from './lab-host.ts';

// Bytes per sample in Prometheus and VictoriaMetrics, on hours of a simulated host, and the resulting needs of a
// fleet.

const { values: options } = parseArgs({
  options: { hours: { type: 'string', default: '2' }, vms: { type: 'string', default: '10' } },
});
const VMS = Number(options.vms);
const STEP = 15;
const START = 1_760_004_000;
const VMS_PER_HOST = 50;
const DAYS = 395;
const BATCH = 4_000_000;

exitBySignal();
const { path: folder, remove } = memoryFolder('kvm-telemetry-capacity-');
const files = new Map(
  PROFILES.map((profile) => [profile, new OpenMetricsFile(`${folder}/${profile}.om`)] as const),
);
const within = (profile: Profile, family: Family): boolean =>
  PROFILES.indexOf(profileOf(family.name)) <= PROFILES.indexOf(profile);
await generateHistory({
  hours: Number(options.hours),
  stepSeconds: STEP,
  sampleSeconds: STEP,
  tickSeconds: 5,
  seed: 1,
  start: START,
  scenario: (scenario) => quiet(scenario, VMS),
  sink: {
    take(families, at) {
      for (const [profile, file] of files)
        file.take(
          families.filter((each) => within(profile, each)),
          at,
        );
    },
  },
});
for (const file of files.values()) await file.end();
note('the history is written');

interface Measured {
  readonly ofVm: number;
  readonly ofHost: number;
  readonly prometheus: number;
  readonly victoria: number;
}
const measured = new Map<string, Measured>();
for (const profile of PROFILES) {
  const data = `${folder}/${profile}`;
  await createBlocks(`${folder}/${profile}.om`, data);
  measured.set(profile, await sizesOf(profile, data, `${folder}/${profile}.om`));
  note(profile);
}
measured.set('recorded', await sizesOfRecorded());
remove();

const rows = [...measured].map(([name, { ofVm, ofHost, prometheus, victoria }]) => [
  name,
  ofVm.toFixed(0),
  ofHost.toFixed(0),
  prometheus.toFixed(2),
  victoria.toFixed(2),
]);
process.stdout.write(
  markdown([
    [
      'what',
      'series a VM',
      'series of the host',
      'bytes a sample, Prometheus',
      'bytes a sample, VictoriaMetrics',
    ],
    ...rows,
  ]),
);
const plan = [...measured].flatMap(([name, { ofVm, ofHost, prometheus, victoria }]) =>
  [10, 1000, 10_000].map((hosts) => {
    const series = hosts * (ofHost + VMS_PER_HOST * ofVm);
    const rate = series / STEP;
    const terabytes = (bytes: number): string => short((rate * 86_400 * DAYS * bytes) / 1e12);
    return [
      name,
      String(hosts),
      short(series / 1e6),
      short(rate / 1e3),
      terabytes(prometheus),
      terabytes(victoria),
    ];
  }),
);
process.stdout.write(
  `\n${markdown([['what', 'hosts', 'million series', 'thousand samples/s', 'TB in 13 months, Prometheus', 'TB in 13 months, VictoriaMetrics'], ...plan])}`,
);

/** Two significant digits. */
function short(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString('en');
}

/** Records the rules over the samples of the minimal profile, and keeps the series that `deploy/fleet` sends. */
async function sizesOfRecorded(): Promise<Measured> {
  const data = `${folder}/minimal`;
  const to = START + Number(options.hours) * 3600;
  const rules = recordingFile().groups.flatMap((group) => group.rules);
  await recordRules(data, rules, { from: START, to, step: STEP });
  const [keep] = fleetFiles().get('vmagent-to-central.yml') as readonly { readonly regex: string }[];
  const server = await serveBlocks(data);
  const query = new URLSearchParams({
    query: `{__name__=~"${keep?.regex}"}[${options.hours}h]`,
    time: String(to),
  });
  const answer = await fetch(`${server.url}/api/v1/query?${query}`);
  const { data: found } = (await answer.json()) as {
    data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
  };
  await server.stop();
  const byName = new Map<string, string[]>();
  for (const { metric, values } of found.result) {
    const { __name__: name = '', ...labels } = metric;
    const inner = Object.entries(labels)
      .map(([label, value]) => `${label}=${JSON.stringify(value)}`)
      .join(',');
    const lines = values.map(([at, value]) => `${name}{${inner}} ${value} ${at}\n`).join('');
    byName.set(name, [...(byName.get(name) ?? []), lines]);
  }
  const path = `${folder}/recorded.om`;
  writeFileSync(path, `${[...byName.values()].flat().join('')}# EOF\n`);
  await createBlocks(path, `${folder}/recorded`);
  return sizesOf('recorded', `${folder}/recorded`, path);
}

async function sizesOf(name: string, blocks: string, text: string): Promise<Measured> {
  let [samples, bytes] = [0, 0];
  for (const block of readdirSync(blocks)) {
    const meta = join(blocks, block, 'meta.json');
    if (!existsSync(meta)) continue;
    samples += (JSON.parse(readFileSync(meta, 'utf8')) as { stats: { numSamples: number } }).stats.numSamples;
    bytes += sizeOf(join(blocks, block));
  }
  const all = new Set<string>();
  const victoria = await victoriaBytes(name, text, all);
  const ofVms = [...all].filter((each) => /[{,]vm="/.test(each)).length;
  return { ofVm: ofVms / VMS, ofHost: all.size - ofVms, prometheus: bytes / samples, victoria };
}

/** Bytes a sample after a merge, index included. Collects the names of the series. */
async function victoriaBytes(name: string, text: string, all: Set<string>): Promise<number> {
  const path = `${folder}/vm-${name}`;
  const { url, stop } = await startVictoria(path);
  const send = async (body: string): Promise<void> => {
    const { ok, status } = await fetch(`${url}/api/v1/import/prometheus`, { method: 'POST', body });
    if (!ok) throw new Error(`victoria-metrics: ${status}`);
  };
  let batch = '';
  for await (const line of createInterface({ input: createReadStream(text) })) {
    if (line.startsWith('#')) continue;
    const [, series = '', value, at] = /^(.+) (\S+) (\S+)$/.exec(line) ?? [];
    all.add(series);
    batch += `${series} ${value} ${Number(at) * 1000}\n`;
    if (batch.length < BATCH) continue;
    await send(batch);
    batch = '';
  }
  await send(batch);
  await fetch(`${url}/internal/force_flush`);
  await fetch(`${url}/internal/force_merge`);
  await sleep(3000);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const sum = (pattern: RegExp): number =>
    [...metrics.matchAll(pattern)].reduce((total, [, value]) => total + Number(value), 0);
  const rows = sum(/^vm_rows\{type="storage\/\w+"\} (\S+)$/gm);
  await stop();
  return (sizeOf(join(path, 'data')) + sizeOf(join(path, 'indexdb'))) / rows;
}
