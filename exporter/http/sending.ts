import type { Request, Response } from 'express';
import type { Logger } from 'pino';
import { peerOf } from './peer.ts';
import { Slots } from './slots.ts';

/** A response that the client does not read for this long is dropped: it keeps a collection in memory. */
const STALL_MS = 30_000;
/** Time limit for a client that reads its response slowly. */
const SEND_MS = 120_000;
/** Maximum number of responses being sent. Above it, a stalled response is dropped. */
const MAX_RESPONSES = 16;
/** A response is stalled if the client has read nothing for this long. */
const IDLE_MS = 1000;

/** Sends long responses, a limited number at a time, no faster than their clients read. */
export class Sending {
  readonly #slots = new Slots<Response>(MAX_RESPONSES);
  readonly #waitsSince = new WeakMap<Response, number>();

  constructor(
    private readonly logger: Pick<Logger, 'debug'>,
    private readonly stallMs = STALL_MS,
  ) {}

  /** Sends the chunks. Stops when the client disconnects. */
  async send(request: Request, response: Response, chunks: AsyncIterable<Buffer>): Promise<void> {
    this.#take(response, peerOf(request.socket.remoteAddress));
    // One listener for all chunks: compression moves it to its own stream, where it cannot be removed.
    let wake = (): void => undefined;
    response.on('drain', () => wake());
    response.on('close', () => wake());
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      if (response.write(chunk)) continue;
      this.#waitsSince.set(response, performance.now());
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (response.destroyed) resolve();
      });
      this.#waitsSince.delete(response);
    }
    response.end();
    // The remaining data is buffered until the client reads it.
    this.#waitsSince.set(response, performance.now());
  }

  #take(response: Response, peer: string): void {
    const victim = this.#slots.victim(peer, (each) => this.#isStalled(each))?.holder;
    if (victim !== undefined) {
      this.logger.debug({ peer }, 'too many responses in progress: dropped the oldest one that is not read');
      this.#slots.free(victim);
      victim.destroy();
    }
    this.#slots.take(response, peer);
    const timer = setTimeout(() => response.destroy(), SEND_MS);
    response.setTimeout(this.stallMs, () => response.destroy());
    response.once('close', () => {
      clearTimeout(timer);
      this.#slots.free(response);
    });
  }

  #isStalled(response: Response): boolean {
    return performance.now() - (this.#waitsSince.get(response) ?? Number.POSITIVE_INFINITY) > IDLE_MS;
  }
}
