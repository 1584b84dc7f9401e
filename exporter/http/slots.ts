import { peerWithMost } from './peer.ts';

/** A fixed number of places. If all are taken, the peer with the most places loses its oldest one. */
export class Slots<T> {
  /** Oldest first. */
  readonly #peers = new Map<T, string>();

  constructor(private readonly total: number) {}

  get taken(): number {
    return this.#peers.size;
  }

  /**
   * The holder to evict for a new entry of this peer; undefined if a place is free or no holder may be
   * evicted.
   *
   * @param mayLeave whether a holder may be evicted
   * @returns the oldest holder of the peer with the most places. `peer` is the new entry's own peer if no
   * other peer has more than it would have.
   */
  victim(
    peer: string,
    mayLeave: (holder: T) => boolean = () => true,
  ): { readonly holder: T; readonly peer: string } | undefined {
    if (this.#peers.size < this.total) return undefined;
    const candidates = [...this.#peers].filter(([holder]) => mayLeave(holder));
    const oldest = candidates[0]?.[0];
    if (oldest === undefined) return undefined;
    const peers = [...candidates.map(([, each]) => each), peer];
    const most = peerWithMost(peers);
    const own = peers.filter((each) => each === peer).length;
    const from = own >= most.count ? peer : most.peer;
    const holder = candidates.find(([, each]) => each === from)?.[0];
    return { holder: holder ?? oldest, peer: from };
  }

  take(holder: T, peer: string): void {
    this.#peers.set(holder, peer);
  }

  free(holder: T): void {
    this.#peers.delete(holder);
  }
}
