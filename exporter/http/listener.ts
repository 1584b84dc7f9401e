import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import type { Logger } from 'pino';
import { type ListenAddress, parseListenAddress } from '../config/addresses.ts';
import { ConfigError } from '../config/load.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import type { TlsOptions } from './web-config.ts';

export interface Timeouts {
  /** The connection is closed if the headers, or the whole request, take longer than this. */
  readonly headersMs: number;
  readonly requestMs: number;
  /** Interval between checks of the two timeouts. */
  readonly checkMs: number;
  /** Time that requests in progress have to finish after stop() is called. */
  readonly drainMs: number;
}

const TIMEOUTS: Timeouts = { headersMs: 10_000, requestMs: 30_000, checkMs: 2000, drainMs: 3000 };
/** Longer than common scrape intervals, so that Prometheus reuses its connection and its TLS session. */
const KEEP_ALIVE_MS = 90_000;
/** The socket side of HTTP: addresses, TLS, timeouts and shutdown. */
export interface Listener {
  /** @returns the port; it differs from the one in the address if that is 0. @throws ConfigError */
  listen(address: string): Promise<number>;
  /** Accepts the connections of a socket that systemd opened. @throws ConfigError if it is not a TCP socket */
  adopt(fd: number): Promise<ListenAddress>;
  /** Uses a renewed certificate for new connections. */
  renew(tls: TlsOptions): void;
  /** Resolves when every connection is closed. */
  close(): Promise<void>;
}

export function createListener(
  app: RequestListener,
  tls: TlsOptions | undefined,
  logger: Pick<Logger, 'warn' | 'error'>,
  timeouts: Timeouts = TIMEOUTS,
  limits?: ConnectionLimits,
): Listener {
  const options = {
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const connections = new Connections(logger, limits);
  let isClosing = false;
  const answer: RequestListener = (request, response) => {
    const done = connections.requested(request.socket);
    if (done === undefined) return;
    response.once('close', () => {
      done();
      if (isClosing) request.socket.destroySoon();
    });
    app(request, response);
  };
  const servers: Server[] = [];
  const bind = async (where: ListenOptions | { readonly fd: number }, name: string): Promise<AddressInfo> => {
    const server: Server =
      tls === undefined
        ? createHttpServer(options, answer)
        : createHttpsServer({ ...options, ...tls, handshakeTimeout: timeouts.headersMs }, answer);
    server.on('connection', (socket: Socket) => {
      if (!('encrypted' in socket)) connections.opened(socket);
    });
    server.on('secureConnection', (socket: Socket) => connections.secured(socket));
    const listening = once(server, 'listening');
    server.listen(where);
    await listening.catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(`${name}: ${why(error)}`);
    });
    // EMFILE in accept(), for example, fails one connection and not the daemon.
    server.on('error', (error) => logger.error({ err: error }, 'cannot accept a connection'));
    servers.push(server);
    const bound = server.address();
    if (typeof bound === 'object' && bound !== null) return bound;
    throw new ConfigError(`${name}: not a TCP socket: give ListenStream= a port or an address with a port`);
  };

  return {
    async listen(address) {
      const { host, port } = parseListenAddress(address) ?? { host: undefined, port: 0 };
      const where = host === undefined ? { port } : { port, host };
      const bound = await bind(where, `--web.listen-address: cannot listen on ${JSON.stringify(address)}`);
      return bound.port;
    },

    async adopt(fd) {
      const { address, port } = await bind({ fd }, `--web.systemd-socket: cannot listen on descriptor ${fd}`);
      return { host: address === '::' || address === '0.0.0.0' ? undefined : address, port };
    },

    renew(next) {
      for (const server of servers) if (server instanceof HttpsServer) server.setSecureContext(next);
    },

    async close() {
      isClosing = true;
      const timer = setTimeout(() => {
        connections.closeAll();
      }, timeouts.drainMs);
      const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
      connections.closeIdle();
      await Promise.all(closed);
      clearTimeout(timer);
    },
  };
}

function why({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'the port is in use: stop the other process or choose another port';
    case 'EACCES':
      return 'not permitted: a port below 1024 needs CAP_NET_BIND_SERVICE';
    case 'EADDRNOTAVAIL':
      return 'no interface of this machine has the address';
    case 'ENOTFOUND':
      return 'the host name is not known';
    default:
      return code ?? message;
  }
}
