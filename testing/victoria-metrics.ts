import { spawn } from 'node:child_process';
import { listeningPort } from '../exporter/cli/listening-port.ts';

export interface Victoria {
  readonly url: string;
  readonly pid: number;
  /** Ends it and waits, so that all is on disk. */
  stop(): Promise<void>;
}

/** Debian's VictoriaMetrics on a free port of loopback. It does not outlive this process. @param path of its samples @param more flags */
export async function startVictoria(path: string, more: readonly string[] = []): Promise<Victoria> {
  const flags = [`-storageDataPath=${path}`, '-httpListenAddr=127.0.0.1:0', '-retentionPeriod=100y', ...more];
  const child = spawn('victoria-metrics', flags, { stdio: 'ignore' });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const port = await listeningPort(child);
  if (port === undefined) throw new Error('victoria-metrics has ended');
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    async stop() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
      process.off('exit', kill);
    },
  };
}
