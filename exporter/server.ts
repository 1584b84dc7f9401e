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
import { peerOf } from './peer.ts';
import { Places } from './places.ts';
import { type ContentType, exposition } from './registry.ts';
import type { ScrapeResult } from './scrape.ts';
import type { Refusal } from './web/addressed.ts';
import type { Feed } from './web/feed.ts';
import { PAGE_POLICY, pageRoutes } from './web/routes.ts';

/** Without Prometheus' header: its own default, less what the answer needs on its way. */
const DEFAULT_TIMEOUT_MS = 9500;
/** What is kept of the time that Prometheus grants, for rendering and the network. */
const OFFSET_MS = 500;
const MAX_TIMEOUT_MS = 120_000;
/** Nobody has use for less: who says so gets this much, or goes away. */
const MIN_TIMEOUT_MS = 1000;
/** A client that takes nothing of its answer for this long is let go: it keeps a whole collection in memory. */
const STALL_MS = 30_000;
/** A client that takes its answer by drops is let go after this long. */
const SEND_MS = 120_000;
/** Answers being sent at a time: each keeps a whole collection in memory. With more, one that makes no progress ends. */
const MAX_ANSWERS = 16;
/** An answer makes no progress when its client has taken nothing for this long. */
const IDLE_ANSWER_MS = 1000;

export interface ServerParts {
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
  /** Collects; the result is there within the time given, complete or not. */
  scrape(timeoutMs: number): Promise<ScrapeResult>;
  readonly own: Registry;
  inventory(): unknown;
  isReady(): boolean;
  /** undefined where POST /-/reload is not enabled. */
  readonly reload: (() => Promise<string | undefined>) | undefined;
  /** Tells open pages what there is to see. */
  readonly feed: Pick<Feed, 'open'>;
  /** Checks who asks; lets everyone in where no users are configured. */
  readonly authenticate: RequestHandler;
  /** Why a request is not meant for this exporter; undefined where it is. */
  readonly refusal?: (request: IncomingMessage) => Refusal | undefined;
  readonly stallMs?: number;
}

/** The HTTP contract. Knows the scrape and the inventory, and no probe. */
export function createApp(parts: ServerParts): Express {
  const app = express();
  const answers = new Places<Response>(MAX_ANSWERS);
  const waitsSince = new WeakMap<Response, number>();
  const isStuck = (response: Response): boolean =>
    performance.now() - (waitsSince.get(response) ?? Number.POSITIVE_INFINITY) > IDLE_ANSWER_MS;
  const limitSending = (request: Request, response: Response): void => {
    const peer = peerOf(request.socket.remoteAddress);
    const victim = answers.victim(peer, isStuck)?.holder;
    if (victim !== undefined) {
      parts.logger.debug({ peer }, 'too many answers under way: the oldest that nobody reads was broken off');
      answers.free(victim);
      victim.destroy();
    }
    answers.take(response, peer);
    const timer = setTimeout(() => response.destroy(), SEND_MS);
    response.setTimeout(parts.stallMs ?? STALL_MS, () => response.destroy());
    response.once('close', () => {
      clearTimeout(timer);
      answers.free(response);
    });
  };
  app.disable('x-powered-by');
  app.set('etag', false);
  app.use(
    helmet({
      // Without helmet's defaults, one of which turns the page's links into https, which need not be there.
      contentSecurityPolicy: { useDefaults: false, directives: PAGE_POLICY },
      strictTransportSecurity: false,
    }),
  );
  app.use((request, response, next) => {
    const refused = parts.refusal?.(request);
    if (refused === undefined) next();
    else response.status(refused.status).type('text').send(refused.text);
  });
  app.use(parts.authenticate);
  // Level 1 makes a scrape 15 times smaller; level 6 costs three times as much for 17 times.
  app.use(compression({ level: 1, threshold: 1024, filter: isText }));

  app.get('/metrics', async (request, response) => {
    const contentType = negotiate(request);
    response.set({ 'Content-Type': contentType, 'Cache-Control': 'no-store' }).vary('Accept');
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const { families } = await parts.scrape(
      scrapeTimeout(request.get('x-prometheus-scrape-timeout-seconds')),
    );
    if (response.destroyed) return;
    limitSending(request, response);
    await send(exposition(families, parts.own, contentType), response, (waits) => {
      if (waits) waitsSince.set(response, performance.now());
      else waitsSince.delete(response);
    });
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
  app.use(pageRoutes(parts.feed));

  const { reload } = parts;
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
    ['/', '/metrics', '/-/healthy', '/-/ready', '/api/v1/inventory', '/api/v1/live'],
    methodNotAllowed('GET, HEAD'),
  );
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

/** compression does not know OpenMetrics, which is what Prometheus asks for. */
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

/** How long a collection may take, from the header that Prometheus sends. */
export function scrapeTimeout(header: string | undefined): number {
  const seconds = header === undefined || header.length > 32 ? Number.NaN : Number(header);
  if (!(seconds > 0)) return DEFAULT_TIMEOUT_MS;
  return Math.min(Math.max(seconds * 1000, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS) - OFFSET_MS;
}

const OPENMETRICS = 'application/openmetrics-text; version=1.0.0';

/** What the client prefers. Prometheus 3 adds `escaping=`, which changes nothing for names like ours. */
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

/**
 * Sends piece by piece, as fast as the client takes them; stops when the client goes away.
 *
 * @param onWaiting gets whether the answer waits for the client
 */
async function send(
  chunks: AsyncIterable<string>,
  response: Response,
  onWaiting: (waits: boolean) => void,
): Promise<void> {
  // One listener for all pieces: compression moves it to its own stream, from where it cannot be taken off again.
  let wake = (): void => undefined;
  response.on('drain', () => wake());
  response.on('close', () => wake());
  for await (const chunk of chunks) {
    if (response.destroyed) return;
    if (response.write(chunk)) continue;
    onWaiting(true);
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (response.destroyed) resolve();
    });
    onWaiting(false);
  }
  response.end();
  // The rest is in buffers until the client takes it.
  onWaiting(true);
}

function statusOf(error: unknown): number {
  const status = (error as { status?: unknown } | undefined)?.status;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
