import type { IncomingMessage } from 'node:http';
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
import type { ScrapeResult } from '../scrape/scrape.ts';
import type { Refusal } from './allowed-hosts.ts';
import { type ContentType, exposition } from './exposition.ts';
import { Sending } from './sending.ts';
import { WrittenLines } from './written-lines.ts';

/** Without Prometheus' timeout header: its default timeout, minus the time to send the response. */
const DEFAULT_TIMEOUT_MS = 9500;
/** Part of the scrape timeout that is reserved for rendering and the network. */
const OFFSET_MS = 500;
const MAX_TIMEOUT_MS = 120_000;
/** Shorter timeouts are raised to this value. */
const MIN_TIMEOUT_MS = 1000;
/**
 * Nothing is loaded from other origins and nothing is inline. Tenants choose VM names, which are rendered only
 * as text.
 */
const CONTENT_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  connectSrc: ["'self'"],
  imgSrc: ["'self'", 'data:'],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
  requireTrustedTypesFor: ["'script'"],
};

/** Data of the page, which its routes serve. */
const PAGE_PATHS = ['/api/v1/live', '/api/v1/events', '/api/v1/history'];

export interface AppDependencies {
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
  /** Returns a result within the given time, complete or not. */
  scrape(timeoutMs: number): Promise<ScrapeResult>;
  readonly own: Registry;
  inventory(): unknown;
  isReady(): boolean;
  /** Path of the metrics. */
  readonly telemetryPath: string;
  /** undefined if POST /-/reload is not enabled. */
  readonly reload: (() => Promise<string | undefined>) | undefined;
  /** Routes of the live page. */
  readonly page: RequestHandler;
  /** Authenticates requests. Accepts every request if no users are configured. */
  readonly authenticate: RequestHandler;
  /** Why a request is not addressed to this exporter; undefined if it is. */
  readonly refusal?: (request: IncomingMessage) => Refusal | undefined;
  readonly stallMs?: number;
}

/** The HTTP interface. It knows the scrape and the inventory, but no probe. */
export function createApp(dependencies: AppDependencies): Express {
  const app = express();
  const { telemetryPath } = dependencies;
  const sending = new Sending(dependencies.logger, dependencies.stallMs);
  const written = new WrittenLines();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(
    helmet({
      // One of helmet's defaults upgrades the page's links to https, which may not be configured.
      contentSecurityPolicy: { useDefaults: false, directives: CONTENT_POLICY },
      strictTransportSecurity: false,
    }),
  );
  app.use((request, response, next) => {
    const refused = dependencies.refusal?.(request);
    if (refused === undefined) next();
    else response.status(refused.status).type('text').send(refused.text);
  });
  app.use(dependencies.authenticate);
  // Level 1 makes a scrape 15 times smaller; level 6 makes it 17 times smaller at three times the CPU cost.
  app.use(compression({ level: 1, threshold: 1024, filter: isText }));

  app.get(telemetryPath, async (request, response) => {
    const contentType = negotiate(request);
    response.set({ 'Content-Type': contentType, 'Cache-Control': 'no-store' }).vary('Accept');
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const { families, exports } = await dependencies.scrape(
      scrapeTimeout(request.get('x-prometheus-scrape-timeout-seconds')),
    );
    if (response.destroyed) return;
    const chunks = exposition(families, dependencies.own, contentType, exports, written);
    await sending.send(request, response, chunks);
  });

  app.get('/-/healthy', (_, response) => {
    response.type('text').send('kvm-telemetry is healthy.\n');
  });
  app.get('/-/ready', (_, response) => {
    const ready = dependencies.isReady();
    response
      .status(ready ? 200 : 503)
      .type('text')
      .send(ready ? 'kvm-telemetry is ready.\n' : 'Not yet ready.\n');
  });
  app.get('/api/v1/inventory', (_, response) => {
    response.set('Cache-Control', 'no-store').json(dependencies.inventory());
  });
  app.use(dependencies.page);

  const { reload } = dependencies;
  app.post('/-/reload', async (_, response) => {
    if (reload === undefined) {
      response
        .status(403)
        .type('text')
        .send('Reloading is not enabled: start with --web.enable-lifecycle.\n');
      return;
    }
    const problem = await reload();
    response
      .status(problem === undefined ? 200 : 500)
      .type('text')
      .send(problem === undefined ? 'Reloaded.\n' : `Not reloaded: ${problem}\n`);
  });

  app.all('/-/reload', methodNotAllowed('POST'));
  app.all(
    ['/', telemetryPath, '/-/healthy', '/-/ready', '/api/v1/inventory', ...PAGE_PATHS],
    methodNotAllowed('GET, HEAD'),
  );
  app.use((_, response) => {
    response.status(404).type('text').send('Not found.\n');
  });
  const onError: ErrorRequestHandler = (error: unknown, request, response, _next) => {
    const status = statusOf(error);
    if (status >= 500) dependencies.logger.error({ err: error, path: request.path }, 'request failed');
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

/** The compression module does not know OpenMetrics, which Prometheus requests. */
function isText(request: Request, response: Response): boolean {
  return (
    response.get('Content-Type') === Registry.OPENMETRICS_CONTENT_TYPE ||
    compression.filter(request, response)
  );
}

function methodNotAllowed(allowed: string): RequestHandler {
  return (_, response) => {
    response.status(405).set('Allow', allowed).type('text').send(`Method not allowed: use ${allowed}.\n`);
  };
}

/** Time limit of a collection, from the timeout header that Prometheus sends. */
export function scrapeTimeout(header: string | undefined): number {
  const seconds = header === undefined || header.length > 32 ? Number.NaN : Number(header);
  if (!(seconds > 0)) return DEFAULT_TIMEOUT_MS;
  return Math.min(Math.max(seconds * 1000, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS) - OFFSET_MS;
}

const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';

/**
 * The content type that the client prefers. Prometheus 3 adds `escaping=`, which has no effect on our metric
 * names.
 */
function negotiate(request: Request): ContentType {
  if (request.headers.accept !== undefined) {
    request.headers.accept = request.headers.accept.replace(
      /;\s*(?:escaping=[\w-]*|charset="?utf-8"?)/gi,
      '',
    );
  }
  return request.accepts(['text/plain; version=0.0.4', OPENMETRICS]) === OPENMETRICS
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | undefined)?.status;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
