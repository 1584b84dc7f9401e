import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isExhausted } from '../../probes/errors.ts';

const notify = promisify(execFile);

/**
 * The helper may fail for lack of descriptors. Retry, because systemd kills a daemon that does not report
 * ready.
 */
const TRIES = 10;
const RETRY_MS = 1000;

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
