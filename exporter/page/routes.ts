import { type Response, Router } from 'express';
import type { EventLog } from '../assessment/event-log.ts';
import { peerOf } from '../http/peer.ts';
import { type Asset, readAssets } from './assets.ts';
import { diagnosisOf, liveCauses } from './causes.ts';
import type { Feed } from './feed.ts';
import type { HostHistory } from './history/host-history.ts';
import { causesQuery, eventQuery, eventsJson, historyQuery, MAX_NAME } from './queries.ts';

export interface PageDependencies {
  readonly feed: Pick<Feed, 'open'>;
  readonly events: Pick<EventLog, 'find'>;
  readonly history: Pick<HostHistory, 'read' | 'overview' | 'pidOf'>;
  readonly telemetryPath: string;
}

/** Routes of the page at `/`, its files and its event stream. The page links to the metrics. */
export function pageRoutes({ feed, events, history, telemetryPath }: PageDependencies): Router {
  const assets = readAssets(telemetryPath);
  const router = Router();

  router.get('/', (_, response) => {
    answer(response, assets.get('index.html'));
  });
  router.get('/assets/*name', (request, response, next) => {
    const asset = assets.get([request.params.name].flat().join('/'));
    if (asset === undefined) next();
    else answer(response, asset);
  });
  router.get('/api/v1/live', (request, response) => {
    const { vm } = request.query;
    if (request.method === 'HEAD') {
      response.set('Cache-Control', 'no-store').type('text/event-stream').end();
      return;
    }
    const name = typeof vm === 'string' && vm.length <= MAX_NAME ? vm : undefined;
    if (feed.open(response, name, peerOf(request.socket.remoteAddress))) return;
    response.status(503).set('Retry-After', '10').type('text').send('Too many pages are open.\n');
  });
  router.get('/api/v1/events', (request, response) => {
    const query = eventQuery(request.query);
    if (typeof query === 'string') refuse(response, query);
    else response.set('Cache-Control', 'no-store').json(eventsJson(events.find(query)));
  });
  router.get('/api/v1/history', async (request, response) => {
    const query = historyQuery(request.query);
    if (typeof query === 'string') {
      refuse(response, query);
      return;
    }
    const { vm } = query;
    const found = vm === undefined ? await history.overview() : history.read(vm);
    response.set('Cache-Control', 'no-store').json(found);
  });
  router.get('/api/v1/causes', (request, response) => {
    const query = causesQuery(request.query);
    if (typeof query === 'string') refuse(response, query);
    else
      response
        .set('Cache-Control', 'no-store')
        .json(liveCauses(query.vm, history.pidOf(query.vm), diagnosisOf(query.vm, history, events)));
  });
  return router;
}

function refuse(response: Response, why: string): void {
  response.status(400).type('text').send(`${why}\n`);
}

/** `no-cache`: the browser revalidates the file on each use, so that it does not miss an update. */
function answer(response: Response, asset: Asset | undefined): void {
  if (asset === undefined) {
    response.status(500).type('text').send('The page was not built: npm run build.\n');
    return;
  }
  response.set({ 'Content-Type': asset.type, 'Cache-Control': 'no-cache', ETag: asset.etag });
  // Express responds with 304 if the browser has the current version.
  response.send(asset.body);
}
