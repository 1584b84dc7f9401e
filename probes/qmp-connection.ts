import { createConnection, type Socket } from 'node:net';
import { malformed, SourceError, sourceError } from './errors.ts';
import { timeLimit } from './in-time.ts';
import type { QmpCommand } from './qmp-commands.ts';
import { MAX_NESTING, nestsTooDeep, QmpLines } from './qmp-lines.ts';
import { unexpected } from './qmp-unexpected.ts';

/** Maximum length of a response. 255 vCPUs with all statistics take 4 MiB; a longer response is an attack. */
const MAX_LINE = 16 * 1024 * 1024;
/** Limit while no request is pending: only events arrive then, the longest of which have a few KiB. */
const MAX_IDLE_LINE = 256 * 1024;
/** Number of migrations between two rounds whose status is kept. Further ones are only counted. */
const MAX_ENDINGS = 8;
const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);

/** Live migrations whose end QEMU announced on a connection. */
export interface QmpEndings {
  readonly count: number;
  /** Status of the last ones, in order: `cancelled`, ... */
  readonly last: readonly string[];
}

/** Maximum of events and empty lines between two responses. */
const MAX_EVENTS = 10_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: SourceError) => void;
  readonly cancel: () => void;
}

/** QEMU's response to a command: a result or an error. */
interface Message {
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: unknown;
  readonly event?: unknown;
  readonly data?: unknown;
  readonly QMP?: unknown;
}

/**
 * A connection to one QMP monitor: greeting, capabilities, then commands with ids. Anything that is not valid
 * QMP closes it. So does a command that times out, because its late response could not be assigned.
 *
 * @see https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
export class QmpConnection {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #lines = new QmpLines();
  #events = 0;
  #endings: QmpEndings = { count: 0, last: [] };
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
   * Connects and negotiates. A monitor serves one client: the kernel accepts a second connection, but QEMU
   * sends it no greeting.
   *
   * @throws SourceError timeout if no greeting arrives: another client is connected to the monitor
   */
  static async open(path: string, timeoutMs: number): Promise<QmpConnection> {
    const socket = createConnection(path);
    // A monitor that hangs must not keep the daemon from exiting.
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

  /** QEMU announces them if a client enabled the migration capability `events`, as libvirt does. */
  get endings(): QmpEndings {
    return this.#endings;
  }

  /** @returns QEMU's response, not yet validated. @throws SourceError; `absent` contains QEMU's own error */
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
    const reason = `no greeting in ${Math.round(timeoutMs)} ms: another client holds the monitor`;
    const late = new SourceError('timeout', this.path, reason, 'monitor_held');
    return this.#wait(timeoutMs, late, (waiting) => {
      this.#greeting = waiting;
    });
  }

  #send(execute: string, args: unknown, timeoutMs: number): Promise<unknown> {
    const id = String(this.#nextId++);
    const late = new SourceError(
      'timeout',
      this.path,
      `no response to ${execute} in ${Math.round(timeoutMs)} ms`,
    );
    return this.#wait(timeoutMs, late, (waiting) => {
      this.#waiting.set(id, waiting);
      this.#socket.write(
        `${JSON.stringify({ execute, ...(args === undefined ? {} : { arguments: args }), id })}\n`,
      );
    });
  }

  #wait(timeoutMs: number, late: SourceError, begin: (waiting: Waiting) => void): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const cancel = timeLimit(timeoutMs, () => this.#fail(late));
      begin({ resolve, reject, cancel });
    });
  }

  #receive(chunk: Buffer): void {
    for (const line of this.#lines.push(chunk)) {
      this.#take(line);
      if (this.#closed !== undefined) return;
    }
    const cap = this.#waiting.size > 0 || this.#greeting !== undefined ? MAX_LINE : MAX_IDLE_LINE;
    if (this.#lines.pending > cap)
      this.#fail(new SourceError('too_large', this.path, `a line of over ${cap} bytes`));
  }

  #take(bytes: Buffer): void {
    if (nestsTooDeep(bytes)) {
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
    else if (message.event !== undefined) this.#takeEvent(message);
    else this.#takeReply(message, line);
  }

  #takeGreeting(message: Message, line: string): void {
    const greeting = this.#greeting;
    if (typeof message.QMP !== 'object' || message.QMP === null || greeting === undefined) {
      this.#fail(malformed(this.path, line));
      return;
    }
    this.#greeting = undefined;
    greeting.cancel();
    greeting.resolve(message.QMP);
  }

  #takeEvent({ event, data }: Message = {}): void {
    const status = event === 'MIGRATION' ? (data as { status?: unknown } | null)?.status : undefined;
    if (ENDED.has(status)) {
      const { count, last } = this.#endings;
      this.#endings = { count: count + 1, last: [...last, String(status)].slice(-MAX_ENDINGS) };
    }
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
    waiting.cancel();
    if (message.error !== undefined) waiting.reject(ownError(this.path, message.error));
    else if ('return' in message) waiting.resolve(message.return);
    else waiting.reject(malformed(this.path, line));
  }

  #fail(error: SourceError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    this.#lines.clear();
    this.#socket.destroy();
    const waiting = [...this.#waiting.values(), ...(this.#greeting === undefined ? [] : [this.#greeting])];
    this.#waiting.clear();
    this.#greeting = undefined;
    for (const { reject, cancel } of waiting) {
      cancel();
      reject(error);
    }
  }
}

/** QEMU's own error for a command, such as an unknown command. */
function ownError(path: string, error: unknown): SourceError {
  const { class: kind, desc } = (error ?? {}) as { class?: unknown; desc?: unknown };
  if (typeof kind !== 'string' || typeof desc !== 'string') return unexpected('error', error);
  return new SourceError('absent', path, `${kind.slice(0, 200)}: ${desc.slice(0, 200)}`);
}
