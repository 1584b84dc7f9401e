import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Logger } from 'pino';
import { ConfigError } from './config/load.ts';
import { type Config, parseListenAddress } from './config/options.ts';
import { authentication, OPEN, readWebConfig } from './config/web-config.ts';
import type { OwnMetrics } from './own-metrics.ts';
import type { Build } from './scrape.ts';
import { createApp } from './server.ts';
import { notifyReady } from './systemd.ts';
import type { Telemetry } from './telemetry.ts';
import { landingPage } from './web/landing.ts';

/** A client that is slower than this to send its request is let go. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How long requests under way may go on after a stop was asked for. */
const DRAIN_MS = 3000;

export interface ServeParts {
  readonly telemetry: Telemetry;
  readonly own: OwnMetrics;
  readonly logger: Logger;
  readonly build: Build;
  /** Reads the configuration once more. @throws ConfigError */
  readonly readConfig: () => Config;
}

export interface Running {
  /** Where it listens: differs from the configuration for port 0. */
  readonly port: number;
  stop(): Promise<void>;
  reload(): Promise<string | undefined>;
}

/** Starts the daemon. @throws ConfigError for a web configuration or an address that cannot be used */
export async function serve(config: Config, parts: ServeParts): Promise<Running> {
  const { telemetry, own, logger, build } = parts;
  const web = config['web.config'] === undefined ? OPEN : readWebConfig(config['web.config']);

  const reload = async (): Promise<string | undefined> => {
    try {
      const next = parts.readConfig();
      logger.level = next['log.level'];
      const restart = await telemetry.reload(next);
      own.reloaded(true);
      logger.info({ needsRestart: restart }, 'configuration reloaded');
      return undefined;
    } catch (error) {
      own.reloaded(false);
      if (!(error instanceof ConfigError)) throw error;
      logger.error(`configuration not reloaded: ${error.message}`);
      return error.message;
    }
  };

  const app = createApp({
    logger,
    scrape: (timeoutMs) => telemetry.scrape(timeoutMs),
    own: own.registry,
    inventory: () => telemetry.inventory,
    isReady: () => telemetry.isReady,
    reload: config['web.enableLifecycle'] ? reload : undefined,
    landingPage: () => landingPage(build.version),
    authenticate: authentication(web.users),
  });
  const server = web.tls === undefined ? createHttpServer(app) : createHttpsServer({ ...web.tls }, app);
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  const port = await listen(server, config['web.listenAddress']);
  own.reloaded(true);
  await telemetry.start();
  logger.info({ address: config['web.listenAddress'], port, tls: web.tls !== undefined }, 'listening');
  const problem = await notifyReady(process.env);
  if (problem !== undefined) logger.warn({ problem }, 'systemd was not told');

  return {
    port,
    reload,
    async stop() {
      await telemetry.stop();
      await close(server);
    },
  };
}

function listen(server: Server, address: string): Promise<number> {
  const { host, port } = parseListenAddress(address) ?? { host: undefined, port: 0 };
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'the port is taken: stop the other process or choose another port'
          : (error.code ?? error.message);
      reject(new ConfigError(`--web.listen-address: cannot listen on ${JSON.stringify(address)}: ${why}`));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
