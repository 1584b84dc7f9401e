import { mkdirSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { TestContext } from 'node:test';
import { eachLine, send } from '../lab/simhost/qmp/server.ts';
import { type Guest, type GuestOptions, startGuest } from './qemu.ts';

const SOCKETS = '/run/kvm-telemetry/qmp';

interface GuestWithMonitor extends Guest {
  /** A second monitor, for an independent client. */
  readonly monitor: string;
}

/**
 * A real guest with a monitor at the exporter's default path. It stops when the test ends.
 *
 * @param sockets another folder, if daemons of other tests must leave its monitor alone
 * @param file name of the socket, if two VMs have one name
 */
export function guestWithMonitor(
  context: Pick<TestContext, 'after'>,
  options: GuestOptions,
  sockets = SOCKETS,
  file = options.name,
): GuestWithMonitor {
  mkdirSync(sockets, { recursive: true, mode: 0o755 });
  const socket = `${sockets}/${file}.sock`;
  const monitors = ['-qmp', `unix:${socket},server=on,wait=off`, '-qmp', 'unix:@/qmp,server=on,wait=off'];
  const started = startGuest({ ...options, extra: [...monitors, ...(options.extra ?? [])] });
  context.after(() => {
    started.stop();
    rmSync(socket, { force: true });
  });
  return { ...started, monitor: `${started.folder}/qmp` };
}

/** Sends a command to a monitor. This client shares no code with the exporter. */
export function qmpCommand(path: string, command: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.on('error', reject);
    const steps: object[] = [{ execute: 'qmp_capabilities' }, command];
    eachLine(socket, (line) => {
      const message = JSON.parse(line) as { event?: unknown; return?: unknown };
      if (message.event !== undefined) return;
      const next = steps.shift();
      if (next !== undefined) send(socket, next);
      else {
        socket.destroy();
        resolve(message.return);
      }
    });
  });
}
