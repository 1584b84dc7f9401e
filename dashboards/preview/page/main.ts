import type { Preview } from '../preview.ts';
import { bars } from './bars.ts';
import { h } from './dom.ts';
import { heatmap } from './heatmap.ts';
import { lines } from './lines.ts';
import { stat } from './stat.ts';
import { table } from './table.ts';
import { text } from './text.ts';
import { timeline } from './timeline.ts';
import { fieldsOf, type View } from './view.ts';

const KINDS: Readonly<Record<string, (view: View) => HTMLElement | undefined>> = {
  text,
  stat,
  table,
  timeseries: lines,
  barchart: bars,
  heatmap,
  'state-timeline': timeline,
};
/** Grafana's grid in pixels. */
const [CELL, GAP, HEAD] = [30, 8, 32];
const COLUMNS = 24;

function show(preview: Preview): void {
  const { dashboard, variables, others, panels, from, to } = preview;
  document.title = dashboard.title ?? '';
  const time = (at: number): string => new Date(at * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const links = others.map(({ title, url }) => h('a', { href: `${url}${location.search}` }, title));
  document.body.append(
    h('header', {}, h('h1', {}, dashboard.title ?? ''), h('span', {}, `${time(from)} to ${time(to)} UTC`)),
    h(
      'nav',
      {},
      ...variables.map(({ label, value }) => h('span', { class: 'variable' }, h('b', {}, label), value)),
      h('span', { class: 'links' }, ...links),
    ),
  );
  const main = h('main');
  document.body.append(main);
  const width = main.clientWidth;
  let bottom = 0;
  for (const shown of panels) {
    const { x, y, w, h: rows } = shown.gridPos;
    const place = {
      left: (width + GAP) * (x / COLUMNS),
      top: y * (CELL + GAP),
      width: (width + GAP) * (w / COLUMNS) - GAP,
      height: rows * (CELL + GAP) - GAP,
    };
    bottom = Math.max(bottom, place.top + place.height);
    const style = Object.entries(place).map(([name, value]) => `${name}:${value}px`);
    main.append(panel(preview, shown, style.join(';'), place));
  }
  main.style.height = `${bottom}px`;
  document.body.dataset['ready'] = 'true';
}

function panel(
  { from, to, marks }: Preview,
  shown: Preview['panels'][number],
  style: string,
  place: { readonly width: number; readonly height: number },
): HTMLElement {
  if (shown.type === 'row') return h('section', { class: 'row', style }, `⌄ ${shown.title}`);
  const isBare = shown.type === 'text';
  const box = h('section', { class: isBare ? 'panel bare' : 'panel', style });
  if (!isBare) box.append(h('h2', { title: shown.description }, shown.title));
  const body = h('div', { class: 'body' });
  box.append(body);
  const config = shown.fieldConfig ?? { defaults: {}, overrides: [] };
  const field = fieldsOf(config as unknown as Parameters<typeof fieldsOf>[0]);
  const view: View = {
    title: shown.title,
    type: shown.type,
    options: shown.options,
    transformations: shown.transformations,
    answers: shown.answers,
    marks,
    from,
    to,
    field,
    width: place.width - 18,
    height: place.height - (isBare ? 0 : HEAD) - 8,
  };
  const isEmpty = !isBare && shown.answers.every(({ series }) => series.length === 0);
  const drawn = isEmpty ? undefined : KINDS[shown.type]?.(view);
  body.append(drawn ?? h('div', { class: 'empty' }, field('').noValue ?? 'No data'));
  return box;
}

const response = await fetch(`/api${location.pathname}${location.search}`);
const answered = (await response.json()) as Preview | { error: string };
if ('error' in answered) document.body.append(h('p', { class: 'error' }, answered.error));
else show(answered);
