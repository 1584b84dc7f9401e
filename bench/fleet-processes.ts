import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { exportsOf } from '../exporter/metrics/profiles.ts';

// Agents and stores of a fleet, with the files of deploy/fleet.

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Programs that log into a folder and do not outlive this process. */
export class Programs {
  readonly #folder: string;
  readonly #children = new Set<ChildProcess>();

  constructor(folder: string) {
    this.#folder = folder;
    process.once('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL');
    });
  }

  start(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(`${this.#folder}/${basename(program)}.log`, { flags: 'a' });
    child.stdout?.pipe(log);
    child.stderr?.pipe(log);
    child.once('error', (error) => {
      throw error;
    });
    this.#children.add(child);
    return child;
  }

  async stop(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  }

  async stopAll(): Promise<void> {
    // Agents before the store, which they would wait for.
    for (const child of [...this.#children].reverse()) await this.stop(child);
  }
}

export async function reachable(url: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const isUp = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await sleep(200);
  }
  throw new Error(`${url} does not respond`);
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export const AGENTS = ['vmagent', 'prometheus'] as const;
export type Agent = (typeof AGENTS)[number];

/** As in the files: every agent has this name on its own host. */
const AGENT_INSTANCE = 'localhost:agent';

interface Addresses {
  /** Folder of the file and of the targets. */
  readonly folder: string;
  readonly interval: number;
  readonly cluster: string;
  /** Base of the store's URL. */
  readonly store: string;
}

/** A file of deploy/fleet with the addresses of this run. @param port of the agent @returns its path */
function configuration(name: string, port: number, { folder, interval, cluster, store }: Addresses): string {
  const config = parse(readFileSync(`${ROOT}deploy/fleet/${name}`, 'utf8')) as {
    global: Record<string, unknown>;
    scrape_configs: Record<string, unknown>[];
    remote_write?: { url: string }[];
  };
  config.global['scrape_interval'] = `${interval}s`;
  config.global['scrape_timeout'] = `${interval}s`;
  config.global['external_labels'] = { cluster, rack: 'r1' };
  for (const job of config.scrape_configs)
    if (job['job_name'] === 'kvm-telemetry') job['file_sd_configs'] = [{ files: [`${folder}/targets.json`] }];
    else job['static_configs'] = [{ targets: [`127.0.0.1:${port}`], labels: { instance: AGENT_INSTANCE } }];
  for (const write of config.remote_write ?? []) write.url = `${store}/api/v1/write`;
  const path = `${folder}/${name}`;
  writeFileSync(path, stringify(config));
  return path;
}

/** Targets that differ in their path on one port, which `kvm0:9954` and so on name. */
export function writeTargets(folder: string, port: number, paths: readonly string[]): void {
  const targets = paths.map((path, host) => ({
    targets: [`127.0.0.1:${port}`],
    labels: { instance: `kvm${host}:9954`, __metrics_path__: path },
  }));
  writeFileSync(`${folder}/targets.json`, JSON.stringify(targets));
}

/** The output of a captured host in the minimal profile. Its last line is to have the count of the scrapes. */
export function minimalPage(): string {
  const exports = exportsOf('minimal', [], []);
  const golden = readFileSync(`${ROOT}test/golden/linux-nvme-vhost.prom`, 'utf8');
  const lines = golden.split('\n').filter((line) => /^kvm_/.test(line));
  const kept = lines.filter((line) =>
    exports(/^\w+/.exec(line)?.[0]?.replace(/_(bucket|sum|count)$/, '') ?? ''),
  );
  const others = kept.filter((line) => !line.startsWith('kvm_telemetry_series '));
  return `${others.join('\n')}\n@VCPUS@kvm_telemetry_series @SCRAPES@\n`;
}

/** Values of the series, by instance, from the text of VictoriaMetrics' export. */
export function valuesByInstance(exported: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const line of exported.split('\n').filter((each) => each !== '')) {
    const { metric, values } = JSON.parse(line) as {
      metric: Record<string, string>;
      values: (number | null)[];
    };
    const instance = metric['instance'] ?? '';
    found.set(instance, [...(found.get(instance) ?? []), ...values.filter((value) => value !== null)]);
  }
  return found;
}

/**
 * Numbers of scrapes that the store lacks, of those that were served to an agent.
 *
 * @param served scrapes by `agent/host`
 * @param stored numbers by instance
 */
export function missingOf(
  served: ReadonlyMap<string, number>,
  agent: Agent,
  stored: ReadonlyMap<string, readonly number[]>,
): number {
  let missing = 0;
  for (const [key, count] of served) {
    const [name, host] = key.split('/');
    if (name !== agent) continue;
    const values = new Set(stored.get(`kvm${host}:9954`));
    for (let i = 1; i <= count; i++) if (!values.has(i)) missing++;
  }
  return missing;
}

/** Starts an agent with its file of deploy/fleet. */
export function startAgent(programs: Programs, agent: Agent, port: number, addresses: Addresses): void {
  const { folder, store } = addresses;
  if (agent === 'vmagent') {
    programs.start('vmagent', [
      `-httpListenAddr=127.0.0.1:${port}`,
      `-promscrape.config=${configuration('vmagent.yml', port, addresses)}`,
      `-remoteWrite.url=${store}/api/v1/write`,
      `-remoteWrite.tmpDataPath=${folder}/queue`,
    ]);
  } else {
    programs.start('prometheus', [
      '--enable-feature=agent',
      `--config.file=${configuration('prometheus-agent.yml', port, addresses)}`,
      `--storage.agent.path=${folder}/wal`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
  }
}
