import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { QmpConnection } from '../../probes/qmp-connection.ts';
import { eachLine, listen, type Monitor, send } from '../../testing/qmp-server.ts';

/** A path for a Unix socket, gone when the test ends. */
export function socketPath(context: Pick<TestContext, 'after'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'kt-qmp-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'q.sock');
}

export interface Request {
  readonly execute: string;
  readonly arguments?: unknown;
  readonly id: string;
}

/** A monitor that negotiates properly and leaves every other command to the test. */
export function negotiated(
  context: Pick<TestContext, 'after'>,
  path: string,
  onCommand: (socket: Socket, request: Request, all: readonly Request[]) => void,
): Promise<Monitor> {
  const received: string[] = [];
  return listen(context, path, received, (socket) => {
    const all: Request[] = [];
    send(socket, { QMP: { version: {}, capabilities: [] } });
    eachLine(socket, (line) => {
      const request = JSON.parse(line) as Request;
      received.push(request.execute);
      if (request.execute === 'qmp_capabilities') return send(socket, { return: {}, id: request.id });
      all.push(request);
      onCommand(socket, request, all);
    });
  });
}

/** A connection to a monitor that answers as the test likes. */
export async function connected(
  context: Pick<TestContext, 'after'>,
  onCommand: (socket: Socket, request: Request, all: readonly Request[]) => void,
  timeoutMs = 2000,
): Promise<{ qmp: QmpConnection; monitor: Monitor; path: string }> {
  const path = socketPath(context);
  const monitor = await negotiated(context, path, onCommand);
  const qmp = await QmpConnection.open(path, timeoutMs);
  context.after(() => qmp.close());
  return { qmp, monitor, path };
}

/** Fails the test file where a promise was rejected and nobody looked. */
export function watchUnhandledRejections(): void {
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  after(() => {
    if (unhandled.length > 0) throw new Error(`unhandled rejections: ${unhandled.join('; ')}`);
  });
}
