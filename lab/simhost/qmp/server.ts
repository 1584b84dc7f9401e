import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** Limit of a request line. The exporter never sends a longer one. */
const MAX_LINE = 1024 * 1024;
const GREETING = {
  QMP: { version: { qemu: { micro: 0, minor: 2, major: 9 }, package: '' }, capabilities: ['oob'] },
};

export type Arguments = Readonly<Record<string, unknown>>;

/** Replies by command: a value, or a function of the arguments. A `QmpError` becomes an error reply. */
export type Replies = Readonly<Record<string, unknown>>;

export interface Request {
  readonly execute: string;
  readonly arguments?: Arguments;
  readonly id?: unknown;
}

/** An error reply, with one of QEMU's error classes. */
export class QmpError extends Error {
  constructor(
    readonly errorClass: string,
    description: string,
  ) {
    super(description);
  }
}

/** An injected fault. It replaces the greeting, or the replies after the capabilities negotiation, or both. */
export interface QmpFault {
  readonly onConnect?: (client: Socket) => void;
  /** @param reply sends the correct reply */
  readonly onCommand?: (client: Socket, request: Request, reply: () => void) => void;
}

/**
 * A QMP monitor. It serves one client at a time, as QEMU does: the next client gets no greeting until the
 * first one leaves.
 *
 * @see https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
export class QmpServer {
  /** Commands of all clients, in order. */
  readonly received: string[] = [];
  /** Number of connections since the start. */
  connections = 0;
  readonly #server: Server;
  /** The first client is served. */
  readonly #clients: Socket[] = [];

  /**
   * @param path of the socket: at most 107 bytes, sockaddr_un
   * @param fault read at each greeting and command, so that it can begin and end at any time
   */
  constructor(
    readonly path: string,
    private readonly replies: Replies,
    private readonly fault: () => QmpFault | undefined = () => undefined,
  ) {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Connected clients, the waiting ones too. */
  get clients(): readonly Socket[] {
    return this.#clients;
  }

  listen(): Promise<void> {
    rmSync(this.path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.path, () => resolve());
    });
  }

  /** Resolves when the path is free for another server. */
  close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.connections++;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      const wasServed = this.#clients[0] === socket;
      this.#clients.splice(this.#clients.indexOf(socket), 1);
      if (wasServed) this.#serve();
    });
    this.#clients.push(socket);
    if (this.#clients.length === 1) this.#serve();
  }

  #serve(): void {
    const [client] = this.#clients;
    if (client === undefined) return;
    const { onConnect = (socket: Socket) => send(socket, GREETING) } = this.fault() ?? {};
    onConnect(client);
    eachLine(client, (line) => this.#receive(client, line));
  }

  #receive(client: Socket, line: string): void {
    const request = parse(line);
    if (request === undefined) {
      send(client, errorReply(new QmpError('GenericError', 'JSON parse error')));
      return;
    }
    this.received.push(request.execute);
    const reply = (): void => send(client, { ...responseTo(this.replies, request), id: request.id });
    const { onCommand } = this.fault() ?? {};
    if (onCommand === undefined || request.execute === 'qmp_capabilities') reply();
    else onCommand(client, request, reply);
  }
}

/** The `return` or the `error` of a response. */
export function responseTo(replies: Replies, { execute, arguments: args = {} }: Request): object {
  const entry = replies[execute] ?? (execute === 'qmp_capabilities' ? {} : undefined);
  try {
    const value: unknown = typeof entry === 'function' ? entry(args) : entry;
    if (value !== undefined) return value instanceof QmpError ? errorReply(value) : { return: value };
    return errorReply(new QmpError('CommandNotFound', `The command ${execute} has not been found`));
  } catch (error) {
    if (error instanceof QmpError) return errorReply(error);
    throw error;
  }
}

function errorReply({ errorClass, message }: QmpError): object {
  return { error: { class: errorClass, desc: message } };
}

function parse(line: string): Request | undefined {
  try {
    return JSON.parse(line) as Request;
  } catch {
    return undefined;
  }
}

export function send(client: Socket, message: unknown): void {
  client.write(`${JSON.stringify(message)}\r\n`);
}

/** Calls `onLine` for each line that is not empty. Closes the connection at a line that is too long. */
export function eachLine(socket: Socket, onLine: (line: string) => void): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk) => {
    text += String(chunk);
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      if (line.trim() !== '') onLine(line);
    }
    if (text.length > MAX_LINE) socket.destroy();
  });
}
