import { execFile } from 'node:child_process';

/**
 * Tells systemd that the daemon is ready. Node.js cannot send on a datagram socket, systemd's own helper can; the unit
 * allows it with `NotifyAccess=all`. Without a supervisor there is nothing to tell.
 *
 * @returns what went wrong; undefined where all is well
 */
export function notifyReady(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (environment['NOTIFY_SOCKET'] === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const options = { env: environment, timeout: 5000 };
    execFile('systemd-notify', ['--ready'], options, (error) => resolve(error?.message.trim()));
  });
}
