import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isExhausted } from '../probes/errors.ts';

const notify = promisify(execFile);

/** Descriptors for the helper may be free a moment later, and systemd kills a daemon that it never hears of. */
const TRIES = 10;
const RETRY_MS = 1000;

/**
 * Tells systemd that the daemon is ready. Node.js cannot send on a datagram socket, systemd's own helper can; the unit
 * allows it with `NotifyAccess=all`. Without a supervisor there is nothing to tell.
 *
 * @returns what went wrong; undefined where all is well
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
