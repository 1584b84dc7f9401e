import type { Comparison } from './bcrypt.ts';
import { peerWithMost } from './peer.ts';

export type Verdict = boolean | 'busy';

interface Login {
  readonly key: string;
  readonly peer: string;
  readonly password: string;
  readonly hash: string;
  readonly callers: Set<(verdict: Verdict) => void>;
}

const MAX_PER_PEER = 4;
const MAX_WAITING = 32;
/** After a wrong password, the peer is blocked for this many times the duration of the comparison. */
const REST = 4;

/**
 * Compares one password at a time. Peers take turns; within a peer the newest login goes first, so a flooding
 * peer displaces only its own logins. A wrong password blocks its peer for a while, so guessing gets at most
 * a fifth of a CPU.
 */
export class LoginQueue {
  /** Logins by peer, oldest first. The next peer is first in the map. */
  readonly #waiting = new Map<string, Login[]>();
  readonly #logins = new Map<string, Login>();
  readonly #restsUntil = new Map<string, number>();
  #running: { readonly login: Login; readonly comparison: Comparison } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param now monotonic, in milliseconds */
  constructor(
    private readonly compare: (password: string, hash: string) => Comparison,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /**
   * @param key identical for the same user, password and hash, so that such logins share one comparison
   * @param signal aborted when the client disconnects
   */
  ask(
    peer: string,
    key: string,
    { password, hash }: { password: string; hash: string },
    signal: AbortSignal,
  ): Promise<Verdict> {
    if (this.#closed || signal.aborted) return Promise.resolve('busy');
    const login = this.#logins.get(key) ?? this.#enqueue({ key, peer, password, hash, callers: new Set() });
    return new Promise((resolve) => {
      login.callers.add(resolve);
      signal.addEventListener('abort', () => {
        login.callers.delete(resolve);
        resolve('busy');
        if (login.callers.size === 0) this.#abandon(login);
      });
      this.#next();
    });
  }

  /** Rejects all pending and further logins. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const login of [...this.#logins.values()]) this.#settle(login, 'busy');
    this.#waiting.clear();
    this.#running?.comparison.cancel();
  }

  #enqueue(login: Login): Login {
    const { peer, key } = login;
    const ofPeer = this.#waiting.get(peer) ?? [];
    this.#waiting.set(peer, ofPeer);
    ofPeer.push(login);
    this.#logins.set(key, login);
    const waiting = [...this.#waiting.values()].flat();
    const from = ofPeer.length > MAX_PER_PEER ? peer : peerWithMost(waiting.map((each) => each.peer)).peer;
    if (ofPeer.length > MAX_PER_PEER || waiting.length > MAX_WAITING) {
      const oldest = this.#waiting.get(from)?.[0];
      if (oldest !== undefined) this.#drop(oldest);
    }
    return login;
  }

  #drop(login: Login): void {
    const rest = this.#waiting.get(login.peer)?.filter((each) => each !== login) ?? [];
    if (rest.length === 0) this.#waiting.delete(login.peer);
    else this.#waiting.set(login.peer, rest);
    this.#settle(login, 'busy');
  }

  #abandon(login: Login): void {
    if (this.#running?.login === login) this.#running.comparison.cancel();
    else this.#drop(login);
  }

  #settle(login: Login, verdict: Verdict): void {
    if (this.#logins.get(login.key) === login) this.#logins.delete(login.key);
    for (const resolve of login.callers) resolve(verdict);
  }

  #next(): void {
    if (this.#running !== undefined || this.#closed) return;
    clearTimeout(this.#timer);
    const now = this.now();
    for (const [peer, until] of this.#restsUntil) if (until <= now) this.#restsUntil.delete(peer);
    for (const [peer, logins] of this.#waiting) {
      if (this.#restsUntil.has(peer)) continue;
      const login = logins.pop();
      // Move the peer to the end if it has more logins.
      this.#waiting.delete(peer);
      if (logins.length > 0) this.#waiting.set(peer, logins);
      if (login !== undefined) void this.#run(login);
      return;
    }
    if (this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => this.#next(), Math.min(...this.#restsUntil.values()) - now + 1);
    this.#timer.unref();
  }

  async #run(login: Login): Promise<void> {
    const start = this.now();
    let verdict: Verdict;
    try {
      const comparison = this.compare(login.password, login.hash);
      this.#running = { login, comparison };
      verdict = await comparison.isRight;
    } catch {
      // No thread could be started, so the password was not checked.
      verdict = 'busy';
    }
    this.#running = undefined;
    if (verdict !== true) {
      const end = this.now();
      this.#restsUntil.set(login.peer, end + REST * (end - start));
    }
    this.#settle(login, verdict);
    this.#next();
  }
}
