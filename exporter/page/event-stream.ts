import type { ServerResponse } from 'node:http';

/** Time before a browser reconnects. */
const RETRY_MS = 2000;

/** Server-sent events to one browser. Nothing is queued for a client that does not read. */
export class EventStream {
  #blockedSince: number | undefined;
  /** Last text sent by name, for frames that are sent only when they change. */
  readonly #sent = new Map<string, string>();

  constructor(
    private readonly response: ServerResponse,
    /** The VM whose page is open. */
    readonly vm: string | undefined,
  ) {
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      // `no-transform` disables compression, which would delay events.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** Time since which the client has not read, on the clock given to {@link send}. */
  get blockedSince(): number | undefined {
    return this.#blockedSince;
  }

  /**
   * @param frames built with {@link frame}
   * @returns false if the client has not read the previous data; these frames are then not sent
   */
  send(frames: string, now: number): boolean {
    if (this.response.destroyed) return false;
    if (this.response.writableLength > 0) {
      this.#blockedSince ??= now;
      return false;
    }
    this.#blockedSince = undefined;
    this.response.write(frames);
    return true;
  }

  /** Returns the frame to send, or '' if it equals the last one. */
  unlessSent(name: string, text: string): string {
    if (this.#sent.get(name) === text) return '';
    this.#sent.set(name, text);
    return text;
  }

  forget(): void {
    this.#sent.clear();
  }

  end(): void {
    this.response.end();
  }

  drop(): void {
    this.response.destroy();
  }
}

/** One event. JSON contains no raw line breaks, so the data is one line. */
export function frame(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment, which shows proxies and the client that the connection is alive. */
export const HEARTBEAT = ':\n\n';
