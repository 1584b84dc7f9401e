import { greediest } from './peer.ts';

/** A number of places. When all are taken, the peer that has most of them gives up its oldest. */
export class Places<T> {
  /** The oldest first. */
  readonly #peers = new Map<T, string>();

  constructor(private readonly total: number) {}

  get taken(): number {
    return this.#peers.size;
  }

  /**
   * Who would have to leave for one more of this peer; undefined where there is room.
   *
   * @returns the oldest of the peer that has most; `peer` is the asking one where nobody has more than it would have
   */
  victim(peer: string): { readonly holder: T; readonly peer: string } | undefined {
    const [oldest] = this.#peers.keys();
    if (this.#peers.size < this.total || oldest === undefined) return undefined;
    const peers = [...this.#peers.values(), peer];
    const most = greediest(peers);
    const own = peers.filter((each) => each === peer).length;
    const from = own >= most.count ? peer : most.peer;
    const holder = [...this.#peers].find(([, each]) => each === from)?.[0];
    return { holder: holder ?? oldest, peer: from };
  }

  take(holder: T, peer: string): void {
    this.#peers.set(holder, peer);
  }

  free(holder: T): void {
    this.#peers.delete(holder);
  }
}
