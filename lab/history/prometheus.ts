import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listeningPort } from '../../exporter/cli/listening-port.ts';

export interface RangeSeries {
  readonly metric: Readonly<Record<string, string>>;
  /** Unix time in seconds, and the value as text. */
  readonly values: readonly (readonly [number, string])[];
}

/** Evaluation times: Unix times in seconds, both ends included. */
export interface Times {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

export interface BlockServer {
  readonly url: string;
  stop(): Promise<void>;
}

const READY_TRIES = 600;
const READY_POLL_MS = 50;

/**
 * Starts a Prometheus on loopback with existing blocks and without scrapes.
 * @param lookbackSeconds maximum age of a sample. With the history's step, a series ends at its last sample,
 * as the staleness marker of a scrape would end it. Prometheus' default is 5 minutes.
 * @throws Error with its log
 */
export async function serveBlocks(data: string, lookbackSeconds = 300): Promise<BlockServer> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-blocks-'));
  writeFileSync(join(folder, 'prometheus.yml'), '{}\n');
  const flags = [
    `--config.file=${folder}/prometheus.yml`,
    '--web.listen-address=127.0.0.1:0',
    `--storage.tsdb.path=${data}`,
    // Prometheus must not delete blocks of another year.
    '--storage.tsdb.retention.time=100y',
    `--query.lookback-delta=${lookbackSeconds * 1000 - 1}ms`,
  ];
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += String(chunk);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  child.once('error', (error) => {
    log += error.message;
  });
  const kill = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    kill();
    await ended;
  };
  // Without a port Prometheus has exited, which is reported below.
  const url = `http://127.0.0.1:${await listeningPort(child)}`;
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (child.exitCode !== null || child.pid === undefined || tries === READY_TRIES) {
      await stop();
      throw new Error(`Prometheus: ${log}`);
    }
    await sleep(READY_POLL_MS);
  }
  return { url, stop };
}

async function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** @throws Error with Prometheus' message */
export async function queryRange(
  url: string,
  query: string,
  { from, to, step }: Times,
): Promise<RangeSeries[]> {
  const body = new URLSearchParams({ query, start: `${from}`, end: `${to}`, step: `${step}` });
  const response = await fetch(`${url}/api/v1/query_range`, { method: 'POST', body });
  const { data, error } = (await response.json()) as { data?: { result: RangeSeries[] }; error?: string };
  if (data === undefined) throw new Error(`${error}: ${query}`);
  return data.result;
}

/**
 * Evaluates a query as a rule sees it: series without their names, so that series joined by `or` are one
 * series.
 * @throws Error with Prometheus' message
 */
export async function evaluateOver(url: string, query: string, times: Times): Promise<RangeSeries[]> {
  const byLabels = new Map<
    string,
    { metric: RangeSeries['metric']; values: (readonly [number, string])[] }
  >();
  for (const { metric, values } of await queryRange(url, query, times)) {
    const { __name__: _, ...labels } = metric;
    const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    const before = byLabels.get(key)?.values ?? [];
    byLabels.set(key, { metric: labels, values: [...before, ...values] });
  }
  const series = [...byLabels.values()];
  for (const { values } of series) values.sort(([a], [b]) => a - b);
  return series;
}
