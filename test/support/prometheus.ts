import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

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

/** A Prometheus that scrapes nothing, on blocks that were made before; gone when the test ends. */
export async function prometheusOn(
  context: Pick<TestContext, 'after'>,
  data: string,
): Promise<PrometheusOnBlocks> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, '{}\n');
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    // Blocks of another year are not to be deleted.
    '--storage.tsdb.retention.time=100y',
    `--web.listen-address=${address}`,
  ];
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  context.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    if (child.exitCode === null) await ended;
    rmSync(folder, { recursive: true });
  });
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (child.exitCode !== null || tries === READY_TRIES) throw new Error(`Prometheus: ${errors}`);
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

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
