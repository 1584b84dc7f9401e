import type { TargetAnswer } from '../preview.ts';

export type Cell = string | number | undefined;
/** Columns by name, in order. */
export type Frame = Map<string, Cell[]>;

interface Transformation {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** A table of each query: labels as columns and the value, named after the query where there are more. */
function tables(answers: readonly TargetAnswer[]): Frame[] {
  return answers.map(({ refId, series }) => {
    const frame: Frame = new Map();
    const labels = new Set(series.flatMap(({ metric }) => Object.keys(metric)));
    for (const label of labels)
      frame.set(
        label,
        series.map(({ metric }) => metric[label]),
      );
    const name = answers.length === 1 ? 'Value' : `Value #${refId}`;
    frame.set(
      name,
      series.map(({ value }) => Number(value?.[1])),
    );
    return frame;
  });
}

const lengthOf = (frame: Frame): number => [...frame.values()][0]?.length ?? 0;

/** Rows with the same values of the columns that all frames share become one. */
function merge(frames: readonly Frame[]): Frame {
  const filled = frames.filter((frame) => lengthOf(frame) > 0);
  const shared = [...(filled[0]?.keys() ?? [])].filter((name) => filled.every((frame) => frame.has(name)));
  const rows = new Map<string, Map<string, Cell>>();
  const names = new Set(frames.flatMap((frame) => [...frame.keys()]));
  for (const frame of filled) {
    for (let i = 0; i < lengthOf(frame); i++) {
      const key = shared.map((name) => frame.get(name)?.[i]).join('\0');
      const row = rows.get(key) ?? new Map<string, Cell>();
      for (const [name, values] of frame) row.set(name, values[i]);
      rows.set(key, row);
    }
  }
  return new Map([...names].map((name) => [name, [...rows.values()].map((row) => row.get(name))]));
}

export function sortFrame(frame: Frame, by: string, isDescending: boolean): Frame {
  const values = frame.get(by);
  if (values === undefined) return frame;
  const order = values
    .map((_, i) => i)
    .sort((a, b) => compare(values[a], values[b]) * (isDescending ? -1 : 1));
  return new Map([...frame].map(([name, cells]) => [name, order.map((i) => cells[i])]));
}

function compare(a: Cell, b: Cell): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a ?? '').localeCompare(String(b ?? ''), 'en', { numeric: true });
}

/** A column for each value of one column, a row for each of another one. */
function matrix(frame: Frame, options: Readonly<Record<string, unknown>>): Frame {
  const [column, row, value] = ['columnField', 'rowField', 'valueField'].map((key) => String(options[key]));
  const [columns, rows, values] = [column, row, value].map((name) => frame.get(name ?? '') ?? []);
  const names = [...new Set(columns)].sort(compare);
  const found = [...new Set(rows)];
  const made: Frame = new Map([[`${row}\\${column}`, found]]);
  for (const name of names) {
    const cells = found.map(
      (one) => values?.[rows?.findIndex((r, i) => r === one && columns?.[i] === name) ?? -1],
    );
    made.set(String(name), cells);
  }
  return made;
}

function transform(frame: Frame, { id, options }: Transformation): Frame {
  if (id === 'sortBy') {
    const [{ field, desc } = { field: '', desc: false }] = options['sort'] as {
      field: string;
      desc: boolean;
    }[];
    return sortFrame(frame, field, desc);
  }
  if (id === 'filterFieldsByName') {
    const { names } = options['include'] as { names: string[] };
    return new Map([...frame].filter(([name]) => names.includes(name)));
  }
  if (id === 'organize') {
    const index = options['indexByName'] as Record<string, number>;
    const renamed = options['renameByName'] as Record<string, string>;
    const ordered = [...frame].sort(([a], [b]) => (index[a] ?? 99) - (index[b] ?? 99));
    return new Map(ordered.map(([name, cells]) => [renamed[name] ?? name, cells]));
  }
  if (id === 'groupingToMatrix') return matrix(frame, options);
  throw new Error(`no transformation ${id}`);
}

export function frameOf(answers: readonly TargetAnswer[], transformations: readonly unknown[] = []): Frame {
  const all = transformations as readonly Transformation[];
  const frames = tables(answers);
  const first = all.some(({ id }) => id === 'merge') ? merge(frames) : (frames[0] ?? new Map());
  return all.filter(({ id }) => id !== 'merge').reduce(transform, first);
}
