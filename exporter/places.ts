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
   * Who would have to leave for one more of this peer; undefined where there is room, or where nobody may leave.
   *
   * @param mayLeave whether a holder is one that can be sent away
   * @returns the oldest of the peer that has most; `peer` is the asking one where nobody has more than it would have
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
    const most = greediest(peers);
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
