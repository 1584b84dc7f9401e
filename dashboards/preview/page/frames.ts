import type { TargetAnswer } from '../preview.ts';

export type Cell = string | number | undefined;
/** Columns by name, in order. */
export type Frame = Map<string, Cell[]>;

interface Transformation {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * A table per query: the labels and the value as columns. With several queries the value column is named
 * after the query.
 */
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

type Row = Map<string, Cell>;

function rowsOf(frame: Frame): Row[] {
  const count = [...frame.values()][0]?.length ?? 0;
  return Array.from(
    { length: count },
    (_, i) => new Map([...frame].map(([name, cells]) => [name, cells[i]])),
  );
}

/** Merges rows of different queries if they are equal in all columns that both have. */
function merge(frames: readonly Frame[]): Frame {
  const merged: Row[] = [];
  for (const row of frames.flatMap(rowsOf)) {
    const same = merged.find((one) =>
      [...row].every(([name, cell]) => !one.has(name) || one.get(name) === cell),
    );
    if (same === undefined) merged.push(row);
    else for (const [name, cell] of row) same.set(name, cell);
  }
  const names = new Set(frames.flatMap((frame) => [...frame.keys()]));
  return new Map([...names].map((name) => [name, merged.map((row) => row.get(name))]));
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

/** A column for each value of one field, and a row for each value of another one. */
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
