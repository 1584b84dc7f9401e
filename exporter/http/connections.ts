import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { peerOf, peerWithMost } from './peer.ts';

export interface ConnectionLimits {
  readonly total: number;
  readonly perPeer: number;
}

/** A scraper needs one or two connections. */
const LIMITS: ConnectionLimits = { total: 512, perPeer: 128 };
/** Maximum number of requests without a complete response on one connection. */
const MAX_PIPELINED = 4;
/** Minimum time between two log lines. */
const QUIET_MS = 600_000;

interface Connection {
  readonly raw: Socket;
  readonly peer: string;
  /** The TLS socket, set after the handshake. */
  secure: Socket | undefined;
  /** Requests without a complete response. */
  requests: number;
  /** Requests so far. 0 means that the client has not sent its headers yet. */
  asked: number;
  /** Start of the current idle period. */
  idleSince: number;
}

/**
 * The open connections. At the limit per peer, a new connection closes the longest idle one of its own peer.
 * At the total limit, it closes that of the peer with the most idle connections. Keep-alive connections are
 * closed first, then connections that have not sent a request. If none is idle, the new connection is closed.
 */
export class Connections {
  readonly #bySocket = new Map<Socket, Connection>();
  readonly #byPort = new Map<string, Connection>();
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly logger: Pick<Logger, 'warn'>,
    private readonly limits: ConnectionLimits = LIMITS,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Call when a TCP connection is accepted. */
  opened(raw: Socket): void {
    const connection: Connection = {
      raw,
      peer: peerOf(raw.remoteAddress),
      secure: undefined,
      requests: 0,
      asked: 0,
      idleSince: this.now(),
    };
    const port = portOf(raw);
    this.#makeRoom(connection.peer, raw);
    if (raw.destroyed) return;
    this.#bySocket.set(raw, connection);
    this.#byPort.set(port, connection);
    raw.once('close', () => {
      this.#bySocket.delete(raw);
      if (this.#byPort.get(port) === connection) this.#byPort.delete(port);
    });
  }

  /** Call when the TLS handshake is complete. */
  secured(secure: Socket): void {
    const connection = this.#byPort.get(portOf(secure));
    if (connection !== undefined) connection.secure = secure;
  }

  /** @returns a function to call when the response is sent; undefined if the connection was closed */
  requested(socket: Socket): (() => void) | undefined {
    const connection = this.#bySocket.get(socket) ?? this.#byPort.get(portOf(socket));
    if (connection === undefined || connection.requests >= MAX_PIPELINED) {
      socket.destroy();
      return undefined;
    }
    connection.requests++;
    connection.asked++;
    return () => {
      connection.requests--;
      connection.idleSince = this.now();
    };
  }

  closeIdle(): void {
    for (const connection of this.#all()) if (connection.requests === 0) close(connection);
  }

  closeAll(): void {
    for (const connection of this.#all()) close(connection);
  }

  #all(): Connection[] {
    return [...this.#bySocket.values()];
  }

  #makeRoom(peer: string, newcomer: Socket): void {
    const all = this.#all();
    const ofPeer = all.filter((each) => each.peer === peer).length;
    if (all.length < this.limits.total && ofPeer < this.limits.perPeer) return;
    const idle = all.filter(({ requests }) => requests === 0);
    const from = ofPeer < this.limits.perPeer ? peerWithMost(idle.map((each) => each.peer)).peer : peer;
    const victim = idle
      .filter((each) => each.peer === from)
      .sort((a, b) => Number(a.asked === 0) - Number(b.asked === 0) || a.idleSince - b.idleSince)[0];
    this.#log(all.length, peer, ofPeer, victim === undefined);
    if (victim === undefined) newcomer.destroy();
    else close(victim);
  }

  #log(open: number, peer: string, ofPeer: number, refused: boolean): void {
    if (this.now() - this.#loggedAt < QUIET_MS) return;
    this.#loggedAt = this.now();
    this.logger.warn(
      { open, peer, ofPeer, limit: this.limits.total, limitPerPeer: this.limits.perPeer },
      refused
        ? 'too many connections, all with requests in progress: refused a new one'
        : 'too many connections: closing the longest idle one for each new one',
    );
  }
}

function close({ raw, secure }: Connection): void {
  (secure ?? raw).destroy();
}

/** The key is the same for a TCP socket and its TLS socket. */
function portOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
