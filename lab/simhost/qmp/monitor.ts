import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { SimVm } from '../vm.ts';
import { QmpError, reply } from './replies.ts';

const GREETING = {
  QMP: { version: { qemu: { micro: 0, minor: 2, major: 9 }, package: '' }, capabilities: ['oob'] },
};
/** Limit of a request line. The exporter never sends a longer one. */
const MAX_LINE = 1024 * 1024;

/** A VM's monitor. It serves one client at a time and the next client waits, as in QEMU. */
export class Monitor {
  readonly #server: Server;
  /** The first client is served. */
  readonly #clients: Socket[] = [];

  /** @param path of the socket: at most 107 bytes, sockaddr_un */
  constructor(
    readonly vm: SimVm,
    readonly path: string,
  ) {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  listen(): Promise<void> {
    rmSync(this.path, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.path, () => resolve());
    });
  }

  close(): void {
    for (const client of this.#clients) client.destroy();
    this.#server.close();
    rmSync(this.path, { force: true });
  }

  #accept(socket: Socket): void {
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
    const [socket] = this.#clients;
    if (socket === undefined || this.#isHung) return;
    send(socket, GREETING);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('utf8');
      if (text.length > MAX_LINE) socket.destroy();
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 1);
        if (line.trim() !== '' && !this.#isHung) this.#answer(socket, line);
      }
    });
  }

  get #isHung(): boolean {
    return this.vm.faults.monitorHangs === true;
  }

  #answer(socket: Socket, line: string): void {
    let id: unknown;
    try {
      const request = JSON.parse(line) as {
        execute?: string;
        arguments?: Record<string, unknown>;
        id?: unknown;
      };
      id = request.id;
      send(socket, { return: reply(this.vm, request.execute ?? '', request.arguments ?? {}), id });
    } catch (error) {
      const { errorClass, message } =
        error instanceof QmpError ? error : { errorClass: 'GenericError', message: 'JSON parse error' };
      send(socket, { error: { class: errorClass, desc: message }, id });
    }
  }
}

function send(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\r\n`);
}
