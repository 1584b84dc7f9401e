import { createConnection, type Socket } from 'node:net';
import { malformed, SourceError, sourceError } from './errors.ts';
import type { QmpCommand } from './qmp-commands.ts';

/** A reply longer than this is an attack: 255 vCPUs with all statistics take 4 MiB. */
const MAX_LINE = 16 * 1024 * 1024;
/** Events between two replies; more is a flood. */
const MAX_EVENTS = 10_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SourceError) => void;
  readonly timer: NodeJS.Timeout;
}

/** What a command came to on QEMU's side: an answer, or QEMU's own error. */
interface Message {
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class?: unknown; readonly desc?: unknown };
  readonly event?: unknown;
  readonly QMP?: unknown;
}

/**
 * One QMP monitor: greeting, capabilities, then commands with ids. Strict: anything that is not QMP closes it, and so
 * does a command that gets no answer in time, as what would come later belongs to nobody.
 *
 * @see https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
export class QmpConnection {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, Waiting>();
  #chunks: Buffer[] = [];
  #length = 0;
  #events = 0;
  #nextId = 1;
  #closed: SourceError | undefined;
  #greeting: Waiting | undefined;

  private constructor(
    private readonly path: string,
    socket: Socket,
  ) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail(sourceError(error, path)));
    socket.on('close', () => this.#fail(new SourceError('vanished', path, 'the monitor was closed')));
  }

  /**
   * Connects and negotiates. A monitor serves one client: a second one is let in by the kernel and gets no greeting.
   *
   * @throws SourceError timeout where no greeting comes: another client holds the monitor
   */
  static async open(path: string, timeoutMs: number): Promise<QmpConnection> {
    const socket = createConnection(path);
    // A hanging monitor must not keep the daemon from ending.
    socket.unref();
    const connection = new QmpConnection(path, socket);
    try {
      await connection.#greeted(timeoutMs);
      await connection.#send('qmp_capabilities', undefined, timeoutMs);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** @returns what QEMU returned, not yet checked. @throws SourceError; `malformed` carries QEMU's own error */
  execute(
    command: QmpCommand,
    timeoutMs: number,
    args?: Readonly<Record<string, unknown>>,
  ): Promise<unknown> {
    return this.#send(command, args, timeoutMs);
  }

  close(): void {
    this.#fail(new SourceError('vanished', this.path, 'closed'));
  }

  #greeted(timeoutMs: number): Promise<unknown> {
    return this.#wait(timeoutMs, 'no greeting: another client holds the monitor', (waiting) => {
      this.#greeting = waiting;
    });
  }

  #send(execute: string, args: unknown, timeoutMs: number): Promise<unknown> {
    const id = String(this.#nextId++);
    return this.#wait(timeoutMs, `no answer to ${execute}`, (waiting) => {
      this.#waiting.set(id, waiting);
      this.#socket.write(
        `${JSON.stringify({ execute, ...(args === undefined ? {} : { arguments: args }), id })}\n`,
      );
    });
  }

  #wait(timeoutMs: number, otherwise: string, begin: (waiting: Waiting) => void): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#fail(new SourceError('timeout', this.path, `${otherwise} in ${timeoutMs} ms`)),
        timeoutMs,
      );
      begin({ resolve, reject, timer });
    });
  }

  #receive(chunk: Buffer): void {
    let rest = chunk;
    for (let newline = rest.indexOf(10); newline >= 0; newline = rest.indexOf(10)) {
      this.#chunks.push(rest.subarray(0, newline));
      const line = Buffer.concat(this.#chunks).toString('utf8');
      this.#chunks = [];
      this.#length = 0;
      rest = rest.subarray(newline + 1);
      this.#take(line);
      if (this.#closed !== undefined) return;
    }
    this.#chunks.push(rest);
    this.#length += rest.length;
    if (this.#length > MAX_LINE)
      this.#fail(new SourceError('too_large', this.path, `a line of over ${MAX_LINE} bytes`));
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    let message: Message;
    try {
      message = JSON.parse(line) as Message;
    } catch {
      this.#fail(malformed(this.path, line));
      return;
    }
    if (typeof message !== 'object' || message === null) this.#fail(malformed(this.path, line));
    else if (this.#greeting !== undefined) this.#takeGreeting(message, line);
    else if (message.event !== undefined) this.#takeEvent();
    else this.#takeReply(message, line);
  }

  #takeGreeting(message: Message, line: string): void {
    const greeting = this.#greeting;
    if (typeof message.QMP !== 'object' || message.QMP === null || greeting === undefined) {
      this.#fail(malformed(this.path, line));
      return;
    }
    this.#greeting = undefined;
    clearTimeout(greeting.timer);
    greeting.resolve(message.QMP);
  }

  #takeEvent(): void {
    if (++this.#events > MAX_EVENTS) this.#fail(new SourceError('too_large', this.path, 'a flood of events'));
  }

  #takeReply(message: Message, line: string): void {
    const waiting = typeof message.id === 'string' ? this.#waiting.get(message.id) : undefined;
    if (waiting === undefined) {
      this.#fail(malformed(this.path, line));
      return;
    }
    this.#events = 0;
    this.#waiting.delete(String(message.id));
    clearTimeout(waiting.timer);
    if (message.error !== undefined) {
      const { class: kind, desc } = message.error;
      waiting.reject(new SourceError('absent', this.path, `${String(kind)}: ${String(desc)}`.slice(0, 200)));
    } else if ('return' in message) waiting.resolve(message.return);
    else waiting.reject(malformed(this.path, line));
  }

  #fail(error: SourceError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#chunks = [];
    this.#socket.destroy();
    const waiting = [...this.#waiting.values(), ...(this.#greeting === undefined ? [] : [this.#greeting])];
    this.#waiting.clear();
    this.#greeting = undefined;
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(error);
    }
  }
}
