import { el } from './dom.ts';
import { count, duration } from './format.ts';
import { type Hour, pathOf } from './line-path.ts';

const LINES = [
  { series: 'iops', name: 'IOPS', format: count },
  { series: 'exits', name: 'exits per second', format: count },
  { series: 'p99', name: '99% of the exits', format: duration },
] as const;
const WIDTH = 44;
const HEIGHT = 20;
const SVG = 'http://www.w3.org/2000/svg';

/** One small line for each series over the last hour, in the order of the column's title. */
export function smallLines(hour: Hour | undefined): HTMLElement[] {
  return LINES.map(({ series, name, format }) => {
    const values = hour?.[series] ?? [];
    const path = pathOf(values, WIDTH, HEIGHT);
    const known = values.filter((value) => value !== null);
    const most = known.length === 0 ? undefined : Math.max(...known);
    const about = `${name}, last hour: now ${format(values.at(-1) ?? undefined)}, at most ${format(most)}`;
    const box = el('span', { class: `line l-${series}`, role: 'img', 'aria-label': about, title: about });
    if (path !== '') box.append(drawn(path));
    return box;
  });
}

function drawn(path: string): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(SVG, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}
