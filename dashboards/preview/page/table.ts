import { colorOf, thresholdColor } from './colors.ts';
import { h } from './dom.ts';
import { format } from './format.ts';
import { type Cell, frameOf, sortFrame } from './frames.ts';
import { type Field, mapped, type View } from './view.ts';

export function table(view: View): HTMLElement | undefined {
  const unsorted = frameOf(view.answers, view.transformations);
  const [{ displayName, desc } = { displayName: '', desc: false }] = view.options['sortBy'] as {
    displayName: string;
    desc: boolean;
  }[];
  const frame = sortFrame(unsorted, displayName, desc);
  const names = [...frame.keys()];
  const count = [...frame.values()][0]?.length ?? 0;
  if (count === 0) return undefined;
  const fields = names.map((name) => view.field(name));
  const numeric = names.map((name) => frame.get(name)?.some((cell) => typeof cell === 'number') === true);
  const aligned = (i: number): string => (numeric[i] === true ? 'text-align:right' : '');
  const head = names.map((name, i) => {
    const width = fields[i]?.custom['width'];
    const style = `${aligned(i)};${width === undefined ? '' : `width:${width}px`}`;
    return h('th', { style }, name, ...(name === displayName ? [h('span', {}, desc ? ' ↓' : ' ↑')] : []));
  });
  const rows = Array.from({ length: Math.min(count, 60) }, (_, row) =>
    h(
      'tr',
      {},
      ...names.map((name, i) => cellOf(frame.get(name)?.[row], fields[i] as Field, aligned(i), view.to)),
    ),
  );
  return h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows));
}

function cellOf(cell: Cell, field: Field, style: string, now: number): HTMLElement {
  if (cell === undefined) return h('td', { style }, '');
  const name = mapped(field, cell);
  const text =
    name?.text ?? (typeof cell === 'number' ? format(cell, field.unit, field.decimals, now) : cell);
  const isColoured =
    field.custom['cellOptions'] !== undefined &&
    typeof cell === 'number' &&
    'type' in (field.custom['cellOptions'] as object) &&
    (field.custom['cellOptions'] as { type: string }).type === 'color-text';
  const color =
    name?.color === undefined
      ? isColoured
        ? thresholdColor(cell as number, field.thresholds.steps)
        : ''
      : colorOf(name.color);
  const shown = field.links === undefined ? text : h('a', {}, text);
  return h('td', { style: `${style};${color === '' ? '' : `color:${color}`}`, title: text }, shown);
}
