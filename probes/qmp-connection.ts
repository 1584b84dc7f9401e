import { createConnection, type Socket } from 'node:net';
import { malformed, SourceError, sourceError } from './errors.ts';
import type { QmpCommand } from './qmp-commands.ts';
import { unexpected } from './qmp-unexpected.ts';

/** A reply longer than this is an attack: 255 vCPUs with all statistics take 4 MiB. */
const MAX_LINE = 16 * 1024 * 1024;
/** The same while nothing is asked: only events come then, the longest of which take a few KiB. */
const MAX_IDLE_LINE = 256 * 1024;
/** Events and empty lines between two replies; more is a flood. */
const MAX_EVENTS = 10_000;
/** As deep as QEMU's own parser goes (qobject/json-streamer.c). Deeper ones take seconds and gigabytes to parse. */
const MAX_NESTING = 1024;
/** Shorter lines cannot nest so deep that it hurts. */
const HARMLESS_LENGTH = 64 * 1024;
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SourceError) => void;
  readonly timer: NodeJS.Timeout;
}

/** What a command came to on QEMU's side: an answer, or QEMU's own error. */
interface Message {
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: unknown;
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
  /** The beginning of a line, in a buffer that doubles: a list of chunks of one byte each would take gigabytes. */
  #line = Buffer.alloc(0);
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

  /** @returns what QEMU returned, not yet checked. @throws SourceError; `absent` carries QEMU's own error */
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
      const line =
        this.#length === 0 ? rest.subarray(0, newline) : this.#completed(rest.subarray(0, newline));
      rest = rest.subarray(newline + 1);
      this.#take(line);
      if (this.#closed !== undefined) return;
    }
    const cap = this.#waiting.size > 0 || this.#greeting !== undefined ? MAX_LINE : MAX_IDLE_LINE;
    if (this.#length + rest.length > cap)
      this.#fail(new SourceError('too_large', this.path, `a line of over ${cap} bytes`));
    else this.#keep(rest);
  }

  #keep(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#line.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#line.length * 2));
      this.#line.copy(larger, 0, 0, this.#length);
      this.#line = larger;
    }
    piece.copy(this.#line, this.#length);
    this.#length = length;
  }

  #completed(end: Buffer): Buffer {
    this.#keep(end);
    const line = this.#line.subarray(0, this.#length);
    this.#line = Buffer.alloc(0);
    this.#length = 0;
    return line;
  }

  #take(bytes: Buffer): void {
    if (bytes.length > HARMLESS_LENGTH && nestsTooDeep(bytes)) {
      this.#fail(new SourceError('too_large', this.path, `a line nested over ${MAX_NESTING} deep`));
      return;
    }
    const line = bytes.toString('utf8');
    if (line.trim() === '') {
      this.#takeEvent();
      return;
    }
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
    if (message.error !== undefined) waiting.reject(ownError(this.path, message.error));
    else if ('return' in message) waiting.resolve(message.return);
    else waiting.reject(malformed(this.path, line));
  }

  #fail(error: SourceError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#line = Buffer.alloc(0);
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

/** QEMU's own complaint about a command, such as that it does not know it. */
function ownError(path: string, error: unknown): SourceError {
  const { class: kind, desc } = (error ?? {}) as { class?: unknown; desc?: unknown };
  if (typeof kind !== 'string' || typeof desc !== 'string') return unexpected('error', error);
  return new SourceError('absent', path, `${fit(kind)}: ${fit(desc)}`);
}

/** Control characters would obey the other end on a terminal. */
function fit(text: string): string {
  return text.slice(0, 200).replace(/\p{C}/gu, '?');
}

/** Brackets within strings count as well: no real string holds so many that are not closed. */
function nestsTooDeep(line: Buffer): boolean {
  let depth = 0;
  for (const byte of line) {
    if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > MAX_NESTING) return true;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--;
  }
  return false;
}
