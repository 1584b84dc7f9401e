import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { memoryFolder } from '../exporter/cli/memory-folder.ts';
import { exitBySignal } from '../lab/exit-by-signal.ts';
import {
  AGENTS,
  type Agent,
  freePort,
  minimalPage,
  missingOf,
  Programs,
  reachable,
  startAgent,
  valuesByInstance,
  writeTargets,
} from './fleet-processes.ts';
import { markdown, note } from './lab-host.ts';

// Three hosts through vmagent and Prometheus' agent into a store that is slow, full or refuses samples, with a clock
// that is wrong, with twins of the agents, and with a host of a million series. Prints the missing samples, and the
// counters that count them. A full disk is a tmpfs, so this needs root.

const { values: options } = parseArgs({
  options: {
    /** Seconds of a fault, and before it. */
    seconds: { type: 'string', default: '45' },
    before: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
  },
});
const DURATION_MS = Number(options.seconds) * 1000;
const BEFORE_MS = Number(options.before) * 1000;
const INTERVAL = 2;
const HOSTS = 3;
const HOUR = 3600;
/** The longest back-off of vmagent is a minute, that of Prometheus' agent 30 s. */
const RECOVERY_MS = 90_000;
/** Longer than the 30 s after which Prometheus gives up; vmagent waits for a minute. */
const SLOW_MS = 35_000;
const TWIN = '-twin';
const DISK = '64m';
const MILLION = 1_000_000;

const COUNTERS =
  /^((?:prometheus_remote_storage_samples_(?:failed|retried)|vmagent_remotewrite_(?:packets_dropped|retries_count)|vm_rows_ignored|vm_promscrape_(?:scrapes_skipped_by_sample_limit|max_scrape_size_exceeded_errors)|prometheus_target_scrapes_(?:exceeded_sample_limit|sample_out_of_bounds|sample_out_of_order|exceeded_body_size_limit))_total|vm_storage_is_read_only|process_resident_memory_bytes)(\{[^}]*\})? (\S+)$/gm;

/** A fault of the agents and the store, while it lasts. */
interface World {
  /** Of the proxy before the store. */
  store: 'responds' | 'slow' | 'refuses';
  /** Seconds by which the clock of these hosts' agent is wrong: its time is on the samples. */
  skew: readonly number[];
  rogue: boolean;
}

interface Rig {
  readonly world: World;
  readonly folder: string;
  readonly programs: Programs;
}

interface Fault {
  readonly name: string;
  readonly storeFlags?: readonly string[];
  /** Two of each agent, with the same external labels. */
  readonly twins?: boolean;
  /** The twins scrape other hosts of the same names. */
  readonly others?: boolean;
  /** The store is Prometheus. */
  readonly receiver?: boolean;
  begin?(rig: Rig): void;
  end?(rig: Rig): void;
}

/** Leaves so many MiB of the store's disk. */
const fill =
  (left: number) =>
  ({ folder }: Rig): void => {
    const { bavail, bsize } = statfsSync(`${folder}/store`);
    execFileSync('fallocate', ['-l', String(bavail * bsize - left * 2 ** 20), `${folder}/store/filler`]);
  };
const empty = ({ folder }: Rig): void => rmSync(`${folder}/store/filler`);
const set =
  (more: Partial<World>) =>
  ({ world }: Rig): void =>
    void Object.assign(world, more);

const FAULTS: readonly Fault[] = [
  { name: 'none' },
  {
    name: `the store responds after ${SLOW_MS / 1000} s`,
    begin: set({ store: 'slow' }),
    end: set({ store: 'responds' }),
  },
  { name: 'the disk of the store has 5 MiB left', begin: fill(5), end: empty },
  { name: 'the disk of the store is full', begin: fill(0), end: empty },
  {
    name: 'the store refuses with 400',
    begin: set({ store: 'refuses' }),
    end: set({ store: 'responds' }),
  },
  { name: 'an hour ahead (kvm1) and behind (kvm2)', begin: set({ skew: [0, HOUR, -HOUR] }) },
  { name: 'two agents with the same labels', twins: true },
  { name: 'two agents with the same labels and different hosts of one name', twins: true, others: true },
  {
    name: 'two agents with the same labels, store with -dedup.minScrapeInterval',
    twins: true,
    storeFlags: [`-dedup.minScrapeInterval=${INTERVAL}s`],
  },
  { name: 'two agents with the same labels, store is Prometheus', twins: true, receiver: true },
  { name: 'a host with a million series (kvm2)', begin: set({ rogue: true }), end: set({ rogue: false }) },
];

exitBySignal();
const { path: top, remove } = memoryFolder('kvm-telemetry-faults-');
const page = minimalPage().replace('@VCPUS@', '');
const million = `${Array.from({ length: MILLION }, (_, i) => `kvm_vm_vcpus{vm="rogue${i}"} 1`).join('\n')}\n`;
const rows: string[][] = [['fault', 'agent', 'scrapes', 'samples missing', 'scrapes failed', 'counters']];
for (const [i, fault] of FAULTS.entries()) {
  if (!fault.name.includes(options.only)) continue;
  note(fault.name);
  rows.push(...(await measured(fault, `${top}/${i}`)));
  process.stdout.write(markdown([rows[0] ?? [], ...rows.slice(-AGENTS.length)]));
}
remove();

async function measured(fault: Fault, folder: string): Promise<string[][]> {
  mkdirSync(`${folder}/store`, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', `${folder}/store`]);
  const unmount = (): void => void execFileSync('umount', ['-l', `${folder}/store`]);
  // Before the folder is removed, which fails on a mount.
  process.prependOnceListener('exit', unmount);
  const programs = new Programs(folder);
  const world: World = { store: 'responds', skew: [], rogue: false };
  const rig = { world, folder, programs };
  const served = new Map<string, number>();
  const exporters = createServer((request, response) => {
    const [, agent = '', host = ''] = request.url?.split('/') ?? [];
    const key = `${agent}/${host}`;
    const scrapes = (served.get(key) ?? 0) + 1;
    const isOther = fault.others === true && agent.endsWith(TWIN);
    const text = `${pageOf(world, Number(host), scrapes)}process_start_time_seconds ${isOther ? 200 : 100}\n`;
    response.setHeader('Content-Type', 'text/plain; version=0.0.4');
    response.end(text, () => served.set(key, scrapes));
  });
  const port = await listen(exporters);
  const storePort = await freePort();
  const store = `http://127.0.0.1:${storePort}`;
  const first = startStore(fault, rig, storePort);
  await reachable(`${store}/${fault.receiver ? '-/ready' : 'health'}`);
  const proxy = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (world.store === 'refuses') return void respond(response, 400, 'too many series');
    const answer = await fetch(`${store}${request.url}`, {
      method: 'POST',
      headers: request.headers as Record<string, string>,
      body: Buffer.concat(chunks),
    }).catch((error: unknown) => new Response(String(error), { status: 503 }));
    if (world.store === 'slow') await sleep(SLOW_MS);
    respond(response, answer.status, await answer.text());
  });
  const through = `http://127.0.0.1:${await listen(proxy)}`;
  const agents = [];
  for (const agent of AGENTS) {
    for (const twin of fault.twins ? ['', TWIN] : ['']) {
      agents.push(await agentOf(agent, `${agent}${twin}`, rig, port, through));
      // vmagent has its start time in whole seconds.
      await sleep(1100);
    }
  }

  await sleep(BEFORE_MS);
  const before = await countersOf([...agents.map(({ url }) => url), store]);
  fault.begin?.(rig);
  await sleep(DURATION_MS);
  const during = await countersOf([...agents.map(({ url }) => url), store]);
  fault.end?.(rig);
  const died = first.exitCode !== null || first.signalCode !== null;
  // As systemd would, but not while the disk is full.
  if (died) startStore(fault, rig, storePort);
  const target = new Map(served);
  const missing = new Map<Agent, number>(AGENTS.map((agent) => [agent, Number.POSITIVE_INFINITY]));
  const stored = new Map<Agent, Map<string, number[]>>();
  for (const began = performance.now(); performance.now() - began < RECOVERY_MS; ) {
    await sleep(5000);
    for (const agent of AGENTS) {
      const values = fault.receiver
        ? await valuesOfPrometheus(store, agent)
        : valuesByInstance(await exported(store, agent));
      stored.set(agent, values);
      missing.set(agent, missingOf(target, agent, values));
    }
    if ([...missing.values()].every((count) => count === 0)) break;
  }
  const after = await countersOf([...agents.map(({ url }) => url), store]);

  const found: string[][] = [];
  for (const agent of AGENTS) {
    const own = [...target].filter(([key]) => key.startsWith(`${agent}/`));
    const samples = [...(stored.get(agent)?.values() ?? [])].reduce((sum, { length }) => sum + length, 0);
    const down = await number(store, `sum(count_over_time((up{cluster="${agent}"} == 0)[10m:${INTERVAL}s]))`);
    const falls = await number(
      store,
      `max(resets(process_start_time_seconds{cluster="${agent}",job="kvm-telemetry"}[10m]))`,
    );
    const agentFalls = await number(
      store,
      `max(resets(process_start_time_seconds{cluster="${agent}",job="kvm-telemetry-agent"}[10m]))`,
    );
    const urls = agents.filter(({ name }) => name.startsWith(agent)).map(({ url }) => url);
    found.push([
      fault.name,
      agent,
      `${own.reduce((sum, [, count]) => sum + count, 0)}, ${samples} stored`,
      String(missing.get(agent)),
      String(down),
      [
        ...(died ? ['the store died'] : []),
        ...(falls > 0 ? [`the start time of a host fell ${falls} times`] : []),
        ...(agentFalls > 0 ? [`that of the agent ${agentFalls} times`] : []),
        ...[...urls, store].flatMap((url) => changes(before.get(url), during.get(url), after.get(url))),
      ].join('; ') || '-',
    ]);
  }
  await programs.stopAll();
  exporters.closeAllConnections();
  exporters.close();
  proxy.closeAllConnections();
  proxy.close();
  process.off('exit', unmount);
  unmount();
  return found;
}

function pageOf({ skew, rogue }: World, host: number, scrapes: number): string {
  const own = page.replace('@SCRAPES@', String(scrapes));
  const seconds = skew[host] ?? 0;
  const at = Date.now() + seconds * 1000;
  const text = seconds === 0 ? own : own.replaceAll(/^([^#\n].*)$/gm, `$1 ${at}`);
  return rogue && host === HOSTS - 1 ? text + million : text;
}

function startStore(
  { storeFlags = [], receiver = false }: Fault,
  { folder, programs }: Rig,
  port: number,
): ChildProcess {
  if (receiver) {
    const config = `${folder}/receiver.yml`;
    writeFileSync(config, '{}\n');
    return programs.start('prometheus', [
      `--config.file=${config}`,
      '--web.enable-remote-write-receiver',
      `--storage.tsdb.path=${folder}/store/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
  }
  return programs.start('victoria-metrics', [
    `-httpListenAddr=127.0.0.1:${port}`,
    `-storageDataPath=${folder}/store/data`,
    '-retentionPeriod=1',
    '-search.latencyOffset=0s',
    ...storeFlags,
  ]);
}

async function agentOf(
  agent: Agent,
  name: string,
  { folder, programs }: Rig,
  exporters: number,
  store: string,
): Promise<{ name: string; url: string }> {
  const own = `${folder}/${name}`;
  mkdirSync(own);
  writeTargets(
    own,
    exporters,
    Array.from({ length: HOSTS }, (_, host) => `/${name}/${host}/metrics`),
  );
  const port = await freePort();
  startAgent(programs, agent, port, { folder: own, interval: INTERVAL, cluster: agent, store });
  const url = `http://127.0.0.1:${port}`;
  await reachable(`${url}/metrics`);
  return { name, url };
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return (server.address() as AddressInfo).port;
}

function respond(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.end(status === 204 ? undefined : text);
}

type Counters = ReadonlyMap<string, number>;

async function countersOf(urls: readonly string[]): Promise<ReadonlyMap<string, Counters>> {
  const all = urls.map(async (url): Promise<[string, Counters]> => {
    // An agent that reads a million series, and a store that died, do not respond.
    const text = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) })
      .then((answer) => answer.text())
      .catch(() => '');
    const counters = [...text.matchAll(COUNTERS)].map(
      ([, name = '', labels = '', value]): [string, number] => [
        name +
          labels
            .replaceAll(/(?:remote_name|url)="[^"]*",?/g, '')
            .replace(/,?\}$/, '}')
            .replace('{}', ''),
        Number(value),
      ],
    );
    return [url, new Map(counters)];
  });
  return new Map(await Promise.all(all));
}

/** Counters that rose, and the memory if it grew by half. */
function changes(
  before: Counters = new Map(),
  during: Counters = new Map(),
  after: Counters = new Map(),
): string[] {
  return [...new Set([...before.keys(), ...during.keys(), ...after.keys()])].flatMap((name) => {
    const [from, peak, to] = [before, during, after].map((each) => each.get(name) ?? 0) as [
      number,
      number,
      number,
    ];
    if (name.startsWith('process_'))
      return peak > 1.5 * from && peak > 2e8 ? [`${(peak / 1e6).toFixed(0)} MB`] : [];
    if (name === 'vm_storage_is_read_only') return peak > from ? [`${name} ${peak}, then ${to}`] : [];
    return to > from ? [`${name} +${to - from}`] : [];
  });
}

async function exported(store: string, cluster: string): Promise<string> {
  const query = new URLSearchParams({
    'match[]': `kvm_telemetry_series{cluster="${cluster}"}`,
    start: String(Date.now() / 1000 - 2 * HOUR),
    end: String(Date.now() / 1000 + 2 * HOUR),
  });
  return (await fetch(`${store}/api/v1/export?${query}`)).text();
}

async function valuesOfPrometheus(store: string, cluster: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  const result = await ask(store, `kvm_telemetry_series{cluster="${cluster}"}[1h]`);
  for (const { metric, values = [] } of result)
    found.set(
      metric['instance'] ?? '',
      values.map(([, value]) => Number(value)),
    );
  return found;
}

interface Result {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

async function ask(store: string, query: string): Promise<readonly Result[]> {
  const answer = await fetch(`${store}/api/v1/query?${new URLSearchParams({ query })}`);
  return ((await answer.json()) as { data: { result: Result[] } }).data.result;
}

async function number(store: string, query: string): Promise<number> {
  return Number((await ask(store, query))[0]?.value?.[1] ?? 0);
}
