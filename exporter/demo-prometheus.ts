import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

export interface DemoPrometheus {
  /** undefined where Prometheus is not installed. */
  readonly url: string | undefined;
  stop(): void;
}

/** Debian's Prometheus on loopback, scraping the demo every five seconds, with its data in a folder that goes with it. */
export async function startPrometheus(target: string): Promise<DemoPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: '5s', evaluation_interval: '5s' },
      scrape_configs: [{ job_name: 'kvm-telemetry', static_configs: [{ targets: [target] }] }],
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${address}`],
    { stdio: 'ignore' },
  );
  const started = await new Promise<boolean>((resolve) => {
    child.once('spawn', () => resolve(true));
    child.once('error', () => resolve(false));
  });
  const end = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', end);
  return { url: started ? `http://${address}` : undefined, stop: end };
}
