import type { ServerResponse } from 'node:http';

/** How long a browser waits before it connects anew. */
const RETRY_MS = 2000;

/** One browser that listens: server-sent events, and nothing kept for who does not take them. */
export class EventStream {
  #blockedSince: number | undefined;
  /** What was last said under a name that need not be said twice. */
  readonly #said = new Map<string, string>();

  constructor(
    private readonly response: ServerResponse,
    /** The VM whose page is open. */
    readonly vm: string | undefined,
  ) {
    response.writeHead(200, {
      'Content-Type': 'text/event-stream; charset=utf-8',
      // `no-transform` keeps compression away, which would hold events back.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
  }

  /** Since when the client takes nothing, by the clock given to {@link send}. */
  get blockedSince(): number | undefined {
    return this.#blockedSince;
  }

  /**
   * @param frames as {@link frame} makes them
   * @returns false where the client has not taken what it was sent before: then this is not sent
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

  /** The frame unless it is what was said last; to be sent. */
  unlessSaid(name: string, text: string): string {
    if (this.#said.get(name) === text) return '';
    this.#said.set(name, text);
    return text;
  }

  forget(): void {
    this.#said.clear();
  }

  end(): void {
    this.response.end();
  }

  drop(): void {
    this.response.destroy();
  }
}

/** One event. JSON has no line ends of its own, so its data is one line. */
export function frame(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment: tells proxies, and who counts on it, that the connection lives. */
export const HEARTBEAT = ':\n\n';
