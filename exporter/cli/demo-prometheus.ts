import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listeningPort } from './listening-port.ts';

export interface DemoPrometheus {
  /** undefined if Prometheus is not installed or does not start. */
  readonly url: string | undefined;
  /** Path of the rules file if it is missing. */
  readonly missingRules: string | undefined;
  /** @param address host and port to scrape */
  scrape(address: string): void;
  stop(): void;
}

/** The rules with shorter windows, because the demo's events are short. A 10 s window holds five scrapes. */
const RULES = fileURLToPath(new URL('../../../deploy/demo/rules.yaml', import.meta.url));
const INTERVAL = '2s';

/**
 * Starts Debian's Prometheus on loopback, without a target: the demo must know its address first. It loads our rules and
 * stores its data in a temporary folder.
 */
export async function startPrometheus(): Promise<DemoPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), `kvm-telemetry-prometheus-${process.pid}-`));
  const config = join(folder, 'prometheus.yml');
  const targets = join(folder, 'targets.json');
  const hasRules = existsSync(RULES);
  // Every JSON document is valid YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: INTERVAL, evaluation_interval: INTERVAL },
      rule_files: hasRules ? [RULES] : [],
      scrape_configs: [
        { job_name: 'kvm-telemetry', file_sd_configs: [{ files: [targets], refresh_interval: INTERVAL }] },
      ],
    }),
  );
  const child = spawn(
    'prometheus',
    [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, '--web.listen-address=127.0.0.1:0'],
    { stdio: 'ignore' },
  );
  child.once('error', () => undefined);
  const end = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', end);
  const port = await listeningPort(child).catch(() => undefined);
  return {
    url: port === undefined ? undefined : `http://127.0.0.1:${port}`,
    missingRules: hasRules ? undefined : RULES,
    scrape(address) {
      writeFileSync(`${targets}.new`, JSON.stringify([{ targets: [address] }]));
      // Prometheus may read the file at any time.
      renameSync(`${targets}.new`, targets);
    },
    stop: end,
  };
}
