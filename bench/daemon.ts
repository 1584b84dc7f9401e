import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { listeningPort } from '../exporter/cli/listening-port.ts';
import { AS_INSTALLED } from './as-installed.ts';

export interface Daemon {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL('../exporter/main.js', import.meta.url));

/** Starts the exporter as a user would, on a free loopback port, which it reads from the log. */
export function startExporter(rootfs: string, flags: readonly string[] = []): Promise<Daemon> {
  return start(['serve', '--path.rootfs', rootfs, ...flags]);
}

/** Starts the exporter on a simulated host. */
export function startDemo(scenario: string): Promise<Daemon> {
  return start(['demo', '--no-prometheus', '--scenario', scenario]);
}

async function start(command: readonly string[]): Promise<Daemon> {
  const args = [MAIN, ...command, '--web.listen-address', '127.0.0.1:0'];
  const env = { ...process.env, ...AS_INSTALLED };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const daemon = started(child);
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    // The demo prints a greeting before its log.
    if (!line.startsWith('{')) continue;
    const { port, msg, level } = JSON.parse(line) as { port?: number; msg: string; level: number };
    if (level >= 50) throw new Error(`the exporter says: ${msg}`);
    if (port !== undefined) return { ...daemon, port };
  }
  throw new Error('the exporter did not start');
}

export async function startNodeExporter(program: string): Promise<Daemon> {
  const child = spawn(program, ['--web.listen-address=127.0.0.1:0'], { stdio: 'ignore' });
  const port = await listeningPort(child);
  if (port === undefined) throw new Error(`${program} did not start`);
  return { ...started(child), port };
}

function started(child: ChildProcess): Omit<Daemon, 'port'> {
  // An interrupted benchmark must not leave daemons behind.
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  child.stdout?.resume();
  return {
    pid: child.pid ?? 0,
    async stop() {
      process.off('exit', kill);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGTERM');
      await gone;
    },
  };
}
