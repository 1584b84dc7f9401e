import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Dashboard, Panel, RowPanel } from '@grafana/schema';
import express from 'express';
import { DASHBOARDS, type DashboardName, uidOf } from '../links.ts';
import { answer, marksOf, panelWindow } from './answers.ts';
import { type Choices, inText, windowOf } from './interpolate.ts';
import type { Preview } from './preview.ts';
import { choose } from './variables.ts';

const HOUR = 3600;

/** Combines a generated dashboard and query results into the data that the page draws. */
async function previewOf(
  dashboard: Dashboard,
  url: string,
  range: { readonly from: number; readonly to: number },
  wishes: Readonly<Record<string, readonly string[]>>,
): Promise<Preview> {
  const { from, to } = range;
  const models = dashboard.templating?.list ?? [];
  const { choices } = await choose(models, url, windowOf(from, to, 1000), wishes);
  const shown = models.flatMap(({ name, label, options }) => {
    const chosen = choices.get(name);
    if (chosen === undefined) return [];
    const named = options?.find(({ value }) => value === chosen.values[0])?.text;
    return [{ label: label ?? name, value: String(named ?? inText(`$${name}`, choices)) }];
  });
  const panels = [];
  for (const panel of opened(dashboard.panels ?? [])) panels.push(await panelOf(panel, url, choices, range));
  return {
    dashboard: { title: dashboard.title ?? '' },
    variables: shown,
    from,
    to,
    panels,
    others: (dashboard.links ?? []).map(({ title, url = '' }) => ({ title, url })),
    marks: await marksOf(dashboard.annotations?.list ?? [], url, choices, from, to),
  };
}

/** Opens collapsed rows, as a click on each would, and moves what is below down. */
export function opened(panels: readonly (Panel | RowPanel)[]): (Panel | RowPanel)[] {
  let moved = 0;
  const down = (panel: Panel | RowPanel): Panel | RowPanel => ({
    ...panel,
    gridPos: { ...(panel.gridPos ?? { x: 0, w: 24, h: 1 }), y: (panel.gridPos?.y ?? 0) + moved },
  });
  return panels.flatMap((panel) => {
    const inside = panel.type === 'row' ? ((panel as RowPanel).panels as Panel[]) : [];
    const shown = [panel, ...inside].map(down);
    const top = (panel.gridPos?.y ?? 0) + 1;
    moved += Math.max(0, ...inside.map(({ gridPos }) => (gridPos?.y ?? 0) + (gridPos?.h ?? 0) - top));
    return shown;
  });
}

async function panelOf(
  panel: Panel | RowPanel,
  url: string,
  choices: Choices,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<Preview['panels'][number]> {
  const { type, title = '', gridPos = { x: 0, y: 0, w: 24, h: 1 } } = panel;
  const common = { type, gridPos, title: inText(title, choices) };
  if (type === 'row') return { ...common, description: '', options: {}, transformations: [], answers: [] };
  const { description = '', options = {}, fieldConfig, transformations = [] } = panel as Panel;
  const answers = await answer(panel as Panel, url, choices, panelWindow(panel as Panel, from, to));
  return {
    ...common,
    description,
    options: options as Record<string, unknown>,
    fieldConfig,
    transformations,
    answers,
  };
}

export interface PreviewServerOptions {
  /** Base URL of a Prometheus. */
  readonly url: string;
  /** Default time range if the URL has none: the last hour by default. */
  readonly from?: number;
  readonly to?: number;
  readonly port: number;
}

/**
 * Serves a page per generated dashboard, with Grafana's URLs: `/d/<uid>?var-vm=db&from=...&to=...`, in
 * seconds.
 */
export function servePreview({ url, from, to, port }: PreviewServerOptions): Promise<Server> {
  const app = express();
  const file = (path: string): string => fileURLToPath(import.meta.resolve(path));
  const page = fileURLToPath(new URL('./page/', import.meta.url));
  app.get('/page/vendor/uplot.js', (_, response) => response.sendFile(file('uplot/dist/uPlot.esm.js')));
  app.get('/page/vendor/uplot.css', (_, response) => response.sendFile(file('uplot/dist/uPlot.min.css')));
  app.use('/page', express.static(page));
  app.get('/', (_, response) => response.redirect(`/d/${uidOf('fleet')}`));
  app.get('/d/:uid', (_, response) => response.sendFile(`${page}index.html`));
  app.get('/api/d/:uid', async (request, response) => {
    const now = Math.floor(Date.now() / 1000);
    const { searchParams } = new URL(request.url, 'http://localhost');
    const end = Number(searchParams.get('to') ?? to ?? now);
    const range = { from: Number(searchParams.get('from') ?? from ?? end - HOUR), to: end };
    const wishes: Record<string, string[]> = {};
    for (const [name, value] of searchParams) {
      if (!name.startsWith('var-')) continue;
      const variable = name.slice(4);
      wishes[variable] = [...(wishes[variable] ?? []), value];
    }
    try {
      response.json(await previewOf(readDashboard(request.params.uid), url, range, wishes));
    } catch (error) {
      response.status(502).json({ error: String(error) });
    }
  });
  return new Promise((resolve) => {
    const server = app.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function readDashboard(uid: string): Dashboard {
  const [name] = Object.entries(DASHBOARDS).find(([one]) => uidOf(one as DashboardName) === uid) ?? [];
  if (name === undefined) throw new Error(`no dashboard ${uid}`);
  const path = new URL(`../../../dashboards/generated/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as Dashboard;
}
