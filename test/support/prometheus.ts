import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../exporter/free-port.ts';

interface RangeSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds of the epoch, and the value as text. */
  readonly values: readonly (readonly [number, string])[];
}

interface PrometheusOnBlocks {
  readonly url: string;
  /** @throws Error with what Prometheus says of the query */
  range(query: string, from: number, to: number, step: number): Promise<RangeSeries[]>;
}

const READY_TRIES = 150;

interface RunningPrometheus {
  readonly url: string;
  readonly hasEnded: () => boolean;
  /** Its log. */
  readonly said: () => string;
}

/** A Prometheus on loopback, with its defaults and what these flags say; gone when the test ends. */
export async function spawnPrometheus(
  context: Pick<TestContext, 'after'>,
  config: string,
  flags: (folder: string) => readonly string[],
): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-prometheus-'));
  writeFileSync(join(folder, 'prometheus.yml'), config);
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [`--config.file=${folder}/prometheus.yml`, `--web.listen-address=${address}`, ...flags(folder)],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += String(chunk);
  });
  context.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    if (child.exitCode === null) await ended;
    rmSync(folder, { recursive: true });
  });
  return { url: `http://${address}`, hasEnded: () => child.exitCode !== null, said: () => log };
}

/** A Prometheus that scrapes nothing, on blocks that were made before. */
export async function prometheusOn(
  context: Pick<TestContext, 'after'>,
  data: string,
): Promise<PrometheusOnBlocks> {
  const { url, hasEnded, said } = await spawnPrometheus(context, '{}\n', () => [
    `--storage.tsdb.path=${data}`,
    // Blocks of another year are not to be deleted.
    '--storage.tsdb.retention.time=100y',
  ]);
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (hasEnded() || tries === READY_TRIES) throw new Error(`Prometheus: ${said()}`);
    await sleep(100);
  }
  return {
    url,
    async range(query, from, to, step) {
      const parameters = new URLSearchParams({ query, start: `${from}`, end: `${to}`, step: `${step}` });
      const response = await fetch(`${url}/api/v1/query_range?${parameters}`);
      const { data: found, error } = (await response.json()) as {
        data?: { result: RangeSeries[] };
        error?: string;
      };
      if (found === undefined) throw new Error(error);
      return found.result;
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}
