import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { listeningPort } from '../exporter/cli/listening-port.ts';
import { queryRange, type RangeSeries, serveBlocks } from '../lab/history/prometheus.ts';

interface PrometheusOnBlocks {
  readonly url: string;
  /** @throws Error with Prometheus' message */
  range(query: string, from: number, to: number, step: number): Promise<RangeSeries[]>;
}

interface RunningPrometheus {
  readonly url: string;
  readonly hasEnded: () => boolean;
  /** The log so far. */
  readonly log: () => string;
}

/** A Prometheus on loopback, with its defaults and these flags. It stops when the test ends. */
export async function spawnPrometheus(
  context: Pick<TestContext, 'after'>,
  config: string,
  flags: (folder: string) => readonly string[],
): Promise<RunningPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'kt-prometheus-'));
  writeFileSync(join(folder, 'prometheus.yml'), config);
  const child = spawn(
    'prometheus',
    [`--config.file=${folder}/prometheus.yml`, '--web.listen-address=127.0.0.1:0', ...flags(folder)],
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
  const port = await listeningPort(child);
  if (port === undefined) throw new Error(`Prometheus has ended: ${log}`);
  return { url: `http://127.0.0.1:${port}`, hasEnded: () => child.exitCode !== null, log: () => log };
}

/** A Prometheus with existing blocks and without scrapes. @param lookbackSeconds as in serveBlocks */
export async function prometheusOn(
  context: Pick<TestContext, 'after'>,
  data: string,
  lookbackSeconds?: number,
): Promise<PrometheusOnBlocks> {
  const { url, stop } = await serveBlocks(data, lookbackSeconds);
  context.after(stop);
  return { url, range: (query, from, to, step) => queryRange(url, query, { from, to, step }) };
}
