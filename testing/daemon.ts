import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './folder.ts';
import { parseSamples, type Samples } from './metrics.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = `${ROOT}dist/exporter/main.js`;
const START_MS = 90_000;

/** The built daemon as a separate process. */
export interface Daemon {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  readonly environment: NodeJS.ProcessEnv;
  /** JSON log lines so far. */
  readonly log: readonly Record<string, unknown>[];
  /** Other lines of its standard output so far. */
  readonly printed: readonly string[];
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  /** The text of /metrics. */
  metrics(): Promise<string>;
  samples(): Promise<Samples>;
  /** Sends the signal and waits for the exit. @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts `serve` on a free port. The process is killed when the test ends.
 * @param wrapper a program, with arguments, that executes the daemon, such as prlimit
 */
export async function startDaemon(
  context: Pick<TestContext, 'after'>,
  args: readonly string[] = [],
  more: NodeJS.ProcessEnv = {},
  command = 'serve',
  wrapper: readonly string[] = [],
): Promise<Daemon> {
  const environment: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    // Tests must not share the state of a daemon.
    KVM_TELEMETRY_STATE_DIR: temporaryFolder(context),
    ...more,
  };
  // The flag adds an address. If a test gives one, the daemon listens only on that one.
  const isBound = args.some((arg) => /^--web\.(listen-address|systemd-socket)/.test(arg));
  const address = isBound ? [] : ['--web.listen-address=127.0.0.1:0'];
  const line = [...wrapper, process.execPath, MAIN, command, ...address, ...args];
  const child = spawn(line[0] ?? '', line.slice(1), {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  context.after(() => {
    child.kill('SIGKILL');
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += String(chunk);
  });
  const log: Record<string, unknown>[] = [];
  const printed: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no daemon after ${START_MS} ms: ${errors}`)), START_MS);
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`exit ${code}: ${errors}`));
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const entry = parseLine(line);
      if (entry === undefined) {
        printed.push(line);
        return;
      }
      log.push(entry);
      if (entry['msg'] !== 'listening') return;
      clearTimeout(timer);
      resolve(`${entry['tls'] === true ? 'https' : 'http'}://127.0.0.1:${entry['port']}`);
    });
  });
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url}${path}`, { headers });
  const metrics = async (): Promise<string> => (await get('/metrics')).text();
  return {
    url,
    pid: child.pid ?? 0,
    child,
    environment,
    log,
    printed,
    get,
    metrics,
    samples: async () => parseSamples(await metrics()),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exited;
    },
  };
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
