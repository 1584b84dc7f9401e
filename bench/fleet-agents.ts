import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { listeningPort } from '../exporter/cli/listening-port.ts';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import {
  AGENTS,
  type Agent,
  freePort,
  minimalPage,
  missingOf,
  Programs,
  ROOT,
  reachable,
  startAgent,
  valuesByInstance,
  writeTargets,
} from './fleet-processes.ts';
import { judgeSums } from './fleet-sums.ts';
import { markdown, note } from './lab-host.ts';

// Hosts through vmagent and through Prometheus' agent into VictoriaMetrics, with an outage of the store and a VM that moves.
// Every host is the golden output of a captured host under a name of its own. Its gauge kvm_telemetry_series counts its
// scrapes, so a lost sample is a missing number in the store.

const { values: options } = parseArgs({
  options: {
    hosts: { type: 'string', default: '200' },
    /** Seconds between scrapes. */
    interval: { type: 'string', default: '5' },
    /** Seconds before, during and after the outage. */
    before: { type: 'string', default: '60' },
    outage: { type: 'string', default: '120' },
    /** Number of hosts that are running exporters, each on a simulated host. */
    living: { type: 'string', default: '2' },
    /** Seconds for which the first of those is stopped, so that scrapes of it fail. */
    stopped: { type: 'string', default: '0' },
  },
});
const HOSTS = Number(options.hosts);
const INTERVAL = Number(options.interval);
/** Counters of Prometheus and of vmagent: the compressed bytes that they sent. */
const BYTES = ['prometheus_remote_storage_bytes_total', 'vmagent_remotewrite_conn_bytes_written_total'];
const SAMPLES = ['prometheus_remote_storage_samples_total', 'vmagent_remotewrite_block_size_rows_sum'];
/** After an hour the queues are large, and others may use the machine. */
const DRAIN_MS = 15 * 60_000;

exitBySignal();
const { path: folder, remove } = memoryFolder('kvm-telemetry-agents-');
const programs = new Programs(folder);
process.once('exit', remove);

const served = new Map<string, number>();
/** The host of the VM that moves. */
let home = 0;
const page = minimalPage();
const exporterProcesses: ChildProcess[] = [];
/** Addresses of the exporters that run: those of the last hosts. */
const living = await Promise.all(Array.from({ length: Number(options.living) }, startExporter));
const livingVms = (await Promise.all(living.map(pageOf))).reduce((sum, text) => sum + vmsIn(text), 0);
const exporters = createServer(async (request, response) => {
  const [, agent = '', host = ''] = request.url?.split('/') ?? [];
  const key = `${agent}/${host}`;
  const scrapes = (served.get(key) ?? 0) + 1;
  const moved = Number(host) === home ? 'kvm_vm_vcpus{vm="mover"} 2\n' : '';
  const url = living[HOSTS - 1 - Number(host)];
  // An exporter that does not respond causes a failed scrape.
  const text = url === undefined ? page : await pageOf(url).catch(() => undefined);
  if (text === undefined) return void response.destroy();
  response.setHeader('Content-Type', 'text/plain; version=0.0.4');
  response.end(text.replace('@VCPUS@', moved).replace('@SCRAPES@', String(scrapes)), () =>
    served.set(key, scrapes),
  );
});
exporters.listen(0, '127.0.0.1');
await new Promise((resolve) => exporters.once('listening', resolve));
const { port } = exporters.address() as AddressInfo;

const storePort = await freePort();
const store = `http://127.0.0.1:${storePort}`;
const ports = { vmagent: await freePort(), prometheus: await freePort(), vmalert: await freePort() };
for (const agent of AGENTS) {
  mkdirSync(`${folder}/${agent}`);
  writeTargets(
    `${folder}/${agent}`,
    port,
    Array.from({ length: HOSTS }, (_, host) => `/${agent}/${host}/metrics`),
  );
}
const database = (): ChildProcess =>
  programs.start('victoria-metrics', [
    `-httpListenAddr=127.0.0.1:${storePort}`,
    `-storageDataPath=${folder}/store`,
    '-retentionPeriod=1',
    '-search.latencyOffset=0s',
  ]);
let running = database();
await reachable(`${store}/health`);
for (const agent of AGENTS) {
  const addresses = { folder: `${folder}/${agent}`, interval: INTERVAL, cluster: agent, store };
  startAgent(programs, agent, ports[agent], addresses);
}
programs.start('vmalert', [
  `-rule=${ROOT}alerts/generated/recording.yaml`,
  `-rule=${everyInterval()}`,
  `-datasource.url=${store}`,
  `-remoteWrite.url=${store}`,
  // A port without a server, because only the recorded series matter.
  '-notifier.url=http://127.0.0.1:9',
  `-evaluationInterval=${INTERVAL}s`,
  `-httpListenAddr=127.0.0.1:${ports.vmalert}`,
]);
await reachable(`http://127.0.0.1:${ports.vmalert}/health`);
note(
  `${HOSTS} hosts of ${page.match(/^[^#\n]/gm)?.length} series, scraped every ${INTERVAL} s by both agents`,
);
await sleep(Number(options.before) * 1000 * 0.6);
if (options.stopped !== '0') {
  note(`an exporter is stopped for ${options.stopped} s`);
  exporterProcesses[0]?.kill('SIGSTOP');
  await sleep(Number(options.stopped) * 1000);
  exporterProcesses[0]?.kill('SIGCONT');
}
await sleep(Number(options.before) * 1000 * 0.4);
home = 1;
const movedAt = Date.now() / 1000;
note('the VM has moved');
await sleep(Number(options.before) * 1000);

note(`the store is down for ${options.outage} s`);
await programs.stop(running);
for (let left = Number(options.outage); left > 0; left -= 300) {
  note(`${left} s left; ${await waiting()}`);
  await sleep(Math.min(left, 300) * 1000);
}
running = database();
await reachable(`${store}/health`);
note('the store is back');
await sleep(Number(options.before) * 1000);

const target = new Map(served);
const rows: string[][] = [
  ['agent', 'hosts', 'scrapes', 'samples missing', 'scrapes that failed', 's until all were there'],
];
let failed = false;
for (const agent of AGENTS) {
  const began = performance.now();
  let missing = missingOf(target, agent, await storedOf(agent));
  while (missing > 0 && performance.now() - began < DRAIN_MS) {
    note(`${agent}: ${missing} samples are missing; ${await waiting()}`);
    await sleep(5000);
    missing = missingOf(target, agent, await storedOf(agent));
  }
  const scrapes = [...target]
    .filter(([key]) => key.startsWith(agent))
    .reduce((sum, [, count]) => sum + count, 0);
  const down = await number(`sum(count_over_time((up{cluster="${agent}"} == 0)[3h:${INTERVAL}s]))`);
  failed ||= missing > 0;
  rows.push([
    agent,
    String(HOSTS),
    String(scrapes),
    String(missing),
    String(down),
    ((performance.now() - began) / 1000).toFixed(0),
  ]);
}
process.stdout.write(markdown(rows));
process.stdout.write(`\n${markdown([['process', 'bytes sent a sample', 'RSS MiB'], ...(await costs())])}`);

const sums = await range('cluster:kvm_vms:count');
const hosts = await range('sum by (cluster) (host:kvm_vms:count)');
const downs = await range('count by (cluster) (up == 0)');
const vms = vmsIn(page) * (HOSTS - living.length) + livingVms + 1;
// A scrape, the agent's and vmalert's queues of 5 s, a rule of the host and a rule of the cluster, one after the other.
const settles = 3 * INTERVAL + 10;
const judged = AGENTS.map((agent) => {
  const of = [...(sums.get(agent) ?? [])].map(([at, sum]) => ({
    at,
    sum,
    ofHosts: hosts.get(agent)?.get(at),
  }));
  const around = of.filter(({ at }) => Math.abs(at - movedAt) < Number(options.before) * 0.75);
  return judgeSums(around, { movedAt, down: [...(downs.get(agent)?.keys() ?? [])], settles, vms });
});
for (const { at, sum, ofHosts } of judged.flatMap(({ wrong }) => wrong))
  note(`${sum}, by host ${ofHosts}, ${(at - movedAt).toFixed(0)} s from the migration`);
process.stdout.write(
  `\n${markdown([
    [
      'agent',
      'VMs',
      'sums by cluster before and after the migration',
      'wrong, or not the sum over hosts',
      `sums in the ${settles} s after it`,
      'sums that lack a host whose scrape failed',
    ],
    ...judged.map(({ right, wrong, moving, withoutHost }, i) => [
      AGENTS[i] ?? '',
      String(vms),
      String(right.length + wrong.length),
      String(wrong.length),
      [...new Set(moving.map(({ sum }) => sum))].sort().join(', '),
      String(withoutHost.length),
    ]),
  ])}`,
);
failed ||= judged.some(({ right, wrong }) => wrong.length > 0 || right.length === 0);
process.exitCode = failed ? 1 : 0;
exporters.closeAllConnections();
exporters.close();
await programs.stopAll();

/** Numbers of scrapes by instance that the store has. */
async function storedOf(agent: Agent): Promise<Map<string, number[]>> {
  const query = new URLSearchParams({ 'match[]': `kvm_telemetry_series{cluster="${agent}"}` });
  return valuesByInstance(await (await patient(`${store}/api/v1/export?${query}`)).text());
}

/** Waits while the store starts, or has too many queries at once. */
async function patient(url: string): Promise<Response> {
  for (const began = performance.now(); ; await sleep(5000)) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) }).catch(
      (error: unknown) => new Response(String(error), { status: 503 }),
    );
    const text = await answer.text();
    if (answer.ok) return new Response(text);
    note(`the store: ${answer.status} ${text.slice(0, 200)}`);
    if (performance.now() - began > DRAIN_MS) throw new Error(text);
  }
}

/** The data that the agents have not sent yet, by their own counters. */
async function waiting(): Promise<string> {
  const lines = await Promise.all(
    AGENTS.map(async (agent) => {
      const text = await fetch(`http://127.0.0.1:${ports[agent]}/metrics`).then(
        (answer) => answer.text(),
        String,
      );
      return text.match(
        /^(?:vmagent_remotewrite_pending_data_bytes|prometheus_remote_storage_samples_pending).*/gm,
      );
    }),
  );
  return lines.flat().join(', ');
}

/** The resources of the programs. The network is by the agents' own counters. */
async function costs(): Promise<string[][]> {
  const urls = { ...ports, 'victoria-metrics': storePort };
  return Promise.all(
    Object.entries(urls).map(async ([name, at]) => {
      const text = await (await patient(`http://127.0.0.1:${at}/metrics`)).text();
      const total = (metric: string): number =>
        [...text.matchAll(new RegExp(`^${metric}(?:\\{.*\\})? (\\S+)$`, 'gm'))].reduce(
          (sum, [, value]) => sum + Number(value),
          0,
        );
      const [bytes, samples] = [BYTES.map(total), SAMPLES.map(total)].map((each) => Math.max(...each));
      const rss = total('process_resident_memory_bytes') / 2 ** 20;
      return [name, samples ? ((bytes ?? 0) / samples).toFixed(1) : '', rss.toFixed(0)];
    }),
  );
}

async function number(expr: string): Promise<number> {
  const answer = await patient(`${store}/api/v1/query?${new URLSearchParams({ query: expr })}`);
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
  return Number(data.result[0]?.value[1] ?? 0);
}

/** Values by time of each cluster, at the times at which rules are evaluated. */
async function range(expr: string): Promise<Map<string, Map<number, number>>> {
  const end = Math.floor(Date.now() / 1000 / INTERVAL) * INTERVAL;
  const query = new URLSearchParams({
    query: expr,
    start: String(Math.floor((movedAt - Number(options.before)) / INTERVAL) * INTERVAL),
    end: String(end),
    step: `${INTERVAL}s`,
    nocache: '1',
  });
  const answer = await patient(`${store}/api/v1/query_range?${query}`);
  const { data } = (await answer.json()) as {
    data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
  };
  return new Map(
    data.result.map(({ metric, values }) => [
      metric['cluster'] ?? '',
      new Map(values.map(([at, value]) => [at, Number(value)])),
    ]),
  );
}

function vmsIn(text: string): number {
  return text.match(/^kvm_vm_vcpus\{/gm)?.length ?? 0;
}

/** A `demo` of its own, in the same profile. */
async function startExporter(): Promise<string> {
  const child = programs.start(process.execPath, [
    `${ROOT}dist/exporter/main.js`,
    ...['demo', '--no-prometheus', '--profile=minimal', '--web.listen-address=127.0.0.1:0'],
  ]);
  exporterProcesses.push(child);
  return `http://127.0.0.1:${await listeningPort(child)}/metrics`;
}

/** The output of a running exporter, with a placeholder for the count of its scrapes. */
async function pageOf(url: string): Promise<string> {
  const text = await (await fetch(url)).text();
  return text.replace(/^kvm_telemetry_series .*$/m, '@VCPUS@kvm_telemetry_series @SCRAPES@');
}

/** The central rules, as often as the others. */
function everyInterval(): string {
  const path = `${folder}/central-rules.yaml`;
  writeFileSync(
    path,
    readFileSync(`${ROOT}deploy/fleet/central-rules.yaml`, 'utf8').replaceAll(
      'interval: 1m',
      `interval: ${INTERVAL}s`,
    ),
  );
  return path;
}
