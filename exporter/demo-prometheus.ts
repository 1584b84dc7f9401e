import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listeningPort } from './listening-port.ts';

export interface DemoPrometheus {
  /** undefined where Prometheus is not installed, or does not start. */
  readonly url: string | undefined;
  /** Where the rules should be, and are not. */
  readonly missingRules: string | undefined;
  stop(): void;
}

/** The rules, with all time spans so much shorter as the demo's events are: windows of 10 s, in which five scrapes are. */
const RULES = fileURLToPath(new URL('../../deploy/demo/rules.yaml', import.meta.url));
const INTERVAL = '2s';

/** Debian's Prometheus on loopback, scraping the demo, with our rules, and its data in a folder that goes with it. */
export async function startPrometheus(target: string): Promise<DemoPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  const hasRules = existsSync(RULES);
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify({
      global: { scrape_interval: INTERVAL, evaluation_interval: INTERVAL },
      rule_files: hasRules ? [RULES] : [],
      scrape_configs: [{ job_name: 'kvm-telemetry', static_configs: [{ targets: [target] }] }],
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
    stop: end,
  };
}
