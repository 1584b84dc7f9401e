import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isExhausted } from '../../probes/errors.ts';
import { ConfigError } from '../config/load.ts';

const notify = promisify(execFile);

/**
 * The helper may fail for lack of descriptors. Retry, because systemd kills a daemon that does not report
 * ready.
 */
const TRIES = 10;
const RETRY_MS = 1000;

const FIRST_SOCKET = 3;

/**
 * Descriptors of the sockets that systemd opened for this process: sd_listen_fds(3).
 *
 * @throws ConfigError if there are none
 */
export function socketsOfSystemd(environment: NodeJS.ProcessEnv, pid: number): number[] {
  const { LISTEN_PID: receiver, LISTEN_FDS: count } = environment;
  const sockets = receiver === String(pid) ? Number(count) : 0;
  if (Number.isInteger(sockets) && sockets > 0)
    return Array.from({ length: sockets }, (_, i) => FIRST_SOCKET + i);
  throw new ConfigError(
    '--web.systemd-socket: systemd passed no socket: start the unit kvm-telemetry.socket, or remove the flag',
  );
}

/**
 * Reports readiness to systemd. Node.js cannot send on a datagram socket, so systemd's helper does it; the
 * unit permits that with `NotifyAccess=all`. Does nothing without a supervisor.
 *
 * @returns the error; undefined on success
 */
export async function notifyReady(
  environment: NodeJS.ProcessEnv,
  retryMs = RETRY_MS,
): Promise<string | undefined> {
  if (environment['NOTIFY_SOCKET'] === undefined) return undefined;
  for (let tries = 1; ; tries++) {
    try {
      await notify('systemd-notify', ['--ready'], { env: environment, timeout: 5000 });
      return undefined;
    } catch (error) {
      if (!isExhausted(error) || tries === TRIES) return (error as Error).message.trim();
    }
    await sleep(retryMs);
  }
}
