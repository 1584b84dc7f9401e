import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type QmpFault, QmpServer, type Replies } from '../lab/simhost/qmp/server.ts';
import { QmpConnection } from '../probes/qmp-connection.ts';
import { temporaryFolder } from './folder.ts';

/** A path for a Unix socket, removed when the test ends. */
export function socketPath(context: Pick<TestContext, 'after'>): string {
  const folder = temporaryFolder(context);
  return join(folder, 'q.sock');
}

/** A monitor with these replies. It closes when the test ends. */
export async function qmpServer(
  context: Pick<TestContext, 'after'>,
  path: string,
  replies: Replies,
  fault?: QmpFault,
): Promise<QmpServer> {
  const server = new QmpServer(path, replies, () => fault);
  context.after(() => server.close());
  await server.listen();
  return server;
}

/** A connection to a monitor with these replies. */
export async function connected(
  context: Pick<TestContext, 'after'>,
  replies: Replies,
  fault?: QmpFault,
): Promise<{ qmp: QmpConnection; server: QmpServer }> {
  const server = await qmpServer(context, socketPath(context), replies, fault);
  const qmp = await QmpConnection.open(server.path, 30_000);
  context.after(() => qmp.close());
  return { qmp, server };
}
