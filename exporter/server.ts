import compression from 'compression';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { type ContentType, exposition } from './registry.ts';
import type { ScrapeResult } from './scrape.ts';

/** Without Prometheus' header: its own default, less what the answer needs on its way. */
const DEFAULT_TIMEOUT_MS = 9500;
/** What is kept of the time that Prometheus grants, for rendering and the network. */
const OFFSET_MS = 500;
const MAX_TIMEOUT_MS = 120_000;

export interface ServerParts {
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
  /** Collects; the result is there within the time given, complete or not. */
  scrape(timeoutMs: number): Promise<ScrapeResult>;
  readonly own: Registry;
  inventory(): unknown;
  isReady(): boolean;
  /** undefined where POST /-/reload is not enabled. */
  readonly reload: (() => Promise<string | undefined>) | undefined;
  landingPage(): string;
  /** Checks who asks; lets everyone in where no users are configured. */
  readonly authenticate: RequestHandler;
}

/** The HTTP contract. Knows the scrape and the inventory, and no probe. */
export function createApp(parts: ServerParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(
    helmet({
      contentSecurityPolicy: {
        directives: { defaultSrc: ["'none'"], styleSrc: ["'self'", "'unsafe-inline'"] },
      },
      strictTransportSecurity: false,
    }),
  );
  app.use(parts.authenticate);
  // Level 1 makes a scrape 15 times smaller; level 6 costs three times as much for 17 times.
  app.use(compression({ level: 1, threshold: 1024 }));

  app.get('/metrics', async (request, response) => {
    const { families } = await parts.scrape(
      scrapeTimeout(request.get('x-prometheus-scrape-timeout-seconds')),
    );
    const contentType = negotiate(request);
    response.set('Content-Type', contentType);
    response.set('Cache-Control', 'no-store');
    for await (const chunk of exposition(families, parts.own, contentType)) {
      if (!response.write(chunk)) await drained(response);
      if (response.destroyed) return;
    }
    response.end();
  });

  app.get('/-/healthy', (_, response) => {
    response.type('text').send('kvm-telemetry is healthy.\n');
  });
  app.get('/-/ready', (_, response) => {
    const ready = parts.isReady();
    response
      .status(ready ? 200 : 503)
      .type('text')
      .send(ready ? 'kvm-telemetry is ready.\n' : 'Not yet ready.\n');
  });
  app.get('/api/v1/inventory', (_, response) => {
    response.set('Cache-Control', 'no-store').json(parts.inventory());
  });
  app.get('/', (_, response) => {
    response.type('html').send(parts.landingPage());
  });

  const { reload } = parts;
  app.all('/-/reload', async (request, response) => {
    if (reload === undefined) {
      response
        .status(403)
        .type('text')
        .send('Reloading is not enabled: start with --web.enable-lifecycle.\n');
    } else if (request.method !== 'POST') {
      response.status(405).set('Allow', 'POST').type('text').send('Only POST reloads.\n');
    } else {
      const problem = await reload();
      response
        .status(problem === undefined ? 200 : 500)
        .type('text')
        .send(problem === undefined ? 'Reloaded.\n' : `Not reloaded: ${problem}\n`);
    }
  });

  app.use((_, response) => {
    response.status(404).type('text').send('Not found.\n');
  });
  const onError: ErrorRequestHandler = (error: unknown, request, response, _next) => {
    const status = statusOf(error);
    if (status >= 500) parts.logger.error({ err: error, path: request.path }, 'request failed');
    if (response.headersSent) response.destroy();
    else
      response
        .status(status)
        .type('text')
        .send(status < 500 ? 'Bad request.\n' : 'Internal error.\n');
  };
  app.use(onError);
  return app;
}

/** How long a collection may take, from the header that Prometheus sends. */
export function scrapeTimeout(header: string | undefined): number {
  const seconds = header === undefined || header.length > 32 ? Number.NaN : Number(header);
  if (!(seconds > 0)) return DEFAULT_TIMEOUT_MS;
  const granted = Math.min(seconds * 1000, MAX_TIMEOUT_MS);
  return Math.max(granted - OFFSET_MS, granted / 2);
}

const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';

/** What the client prefers. Prometheus 3 adds `escaping=`, which changes nothing for names like ours. */
function negotiate(request: Request): ContentType {
  if (request.headers.accept !== undefined) {
    request.headers.accept = request.headers.accept.replace(/;\s*escaping=[\w-]*/g, '');
  }
  return request.accepts(['text/plain; version=0.0.4', OPENMETRICS]) === OPENMETRICS
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
}

function drained(response: Response): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | undefined)?.status;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
