import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Replies by command; a function gets the arguments. An Error becomes a QMP error reply. */
export type Replies = Readonly<Record<string, unknown>>;

export interface Monitor {
  readonly server: Server;
  /** Commands received, in order. */
  readonly received: string[];
  /** Connected clients. */
  readonly clients: ReadonlySet<Socket>;
  close(): void;
}

const GREETING = {
  QMP: { version: { qemu: { micro: 22, minor: 2, major: 7 }, package: '' }, capabilities: ['oob'] },
};

/**
 * A monitor that follows the protocol and replies from a table, such as replies captured from a real QEMU.
 */
export function monitor(
  context: Pick<TestContext, 'after'>,
  path: string,
  replies: Replies,
): Promise<Monitor> {
  const received: string[] = [];
  return listen(context, path, received, (socket) => {
    send(socket, GREETING);
    eachLine(socket, (line) => {
      const {
        execute,
        arguments: args,
        id,
      } = JSON.parse(line) as { execute: string; arguments?: unknown; id: unknown };
      received.push(execute);
      const reply = replies[execute];
      const value: unknown = typeof reply === 'function' ? reply(args) : reply;
      if (execute === 'qmp_capabilities') send(socket, { return: {}, id });
      else if (value === undefined || value instanceof Error) {
        send(socket, {
          error: { class: 'CommandNotFound', desc: value?.message ?? `${execute} not found` },
          id,
        });
      } else send(socket, { return: value, id });
    });
  });
}

/** A monitor with custom behavior for each client. */
export function listen(
  context: Pick<TestContext, 'after'>,
  path: string,
  received: string[],
  onClient: (socket: Socket) => void,
): Promise<Monitor> {
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('close', () => clients.delete(socket));
    socket.on('error', () => undefined);
    onClient(socket);
  });
  const close = (): void => {
    for (const socket of clients) socket.destroy();
    server.close();
  };
  context.after(close);
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(path, () => resolve({ server, received, clients, close }));
  });
}

export function send(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\r\n`);
}

export function eachLine(socket: Socket, onLine: (line: string) => void): void {
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
    for (let newline = text.indexOf('\n'); newline >= 0; newline = text.indexOf('\n')) {
      const line = text.slice(0, newline);
      text = text.slice(newline + 1);
      if (line.trim() !== '') onLine(line);
    }
  });
}
