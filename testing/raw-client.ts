import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface RawClient {
  readonly socket: Socket;
  /** Data received from the server so far. */
  text(): string;
  /** Resolves when the server or the test closed the connection. */
  readonly closed: Promise<void>;
  readonly connected: Promise<void>;
}

/**
 * A TCP connection that sends raw data; destroyed when the test ends. @param from loopback address to connect
 * from
 */
export function rawClient(
  context: Pick<TestContext, 'after'>,
  url: string,
  { from = '127.0.0.1', say = '' }: { readonly from?: string; readonly say?: string } = {},
): RawClient {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), localAddress: from });
  context.after(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.on('error', () => undefined);
  if (say !== '') socket.write(say);
  return {
    socket,
    text: () => text,
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
    connected: new Promise((resolve) => socket.once('connect', () => resolve())),
  };
}
