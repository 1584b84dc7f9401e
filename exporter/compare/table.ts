import { getOrInsert } from '../../kernel/maps.ts';
import type { Reading } from './readings.ts';
import type { Part } from './terms.ts';

/** The work of one VM from one scrape to the next, or in one window. */
export interface Row {
  readonly at: number;
  readonly seconds: number;
  /** By column. {@link UNKNOWN} where a counter was reset; undefined where there is no sample. */
  readonly values: number[];
}

/** A counter's growth is never negative. */
export const UNKNOWN = -1;
/** Prometheus rounds times to milliseconds. */
const TOLERANCE = 0.002;

interface Column {
  readonly metric: Part['metric'];
  readonly kind: Part['kind'];
  readonly labels: Readonly<Record<string, string>>;
}

/** All readings, by VM and scrape. */
export class Table {
  readonly columns: Column[] = [];
  readonly #index = new Map<string, number>();
  readonly #rows = new Map<string, Map<number, Row>>();

  /** Rows of a VM, in the order in which they were added. */
  rowsOf(vm: string): Iterable<Row> {
    return this.#rows.get(vm)?.values() ?? [];
  }

  /** Adds a scrape of a VM. Add it before its values. */
  addRow(vm: string, at: number, seconds: number): void {
    const rows = getOrInsert(this.#rows, vm, () => new Map<number, Row>());
    rows.set(at, { at, seconds, values: [] });
  }

  column({ metric, by }: Reading, kind: Part['kind'], labels: Readonly<Record<string, string>>): number {
    const own = Object.fromEntries(by.map((label) => [label, labels[label] ?? '']));
    return getOrInsert(
      this.#index,
      JSON.stringify([metric, kind, own]),
      () => this.columns.push({ metric, kind, labels: own }) - 1,
    );
  }

  /** @param seconds for which the value holds: if it is not that of the row, the row's value is unknown */
  add(vm: string, at: number, seconds: number, column: number, value: number, unite: Part['unite']): void {
    const row = this.#rows.get(vm)?.get(at);
    if (row === undefined) return;
    const before = row.values[column];
    if (before === UNKNOWN) return;
    if (value < 0 || Math.abs(seconds - row.seconds) > TOLERANCE) row.values[column] = UNKNOWN;
    else if (before === undefined || Number.isNaN(before)) row.values[column] = value;
    else row.values[column] = unite === 'max' ? Math.max(before, value) : before + value;
  }

  /** Adds one series of a gauge. */
  addLevel(vm: string, at: number, sum: number, count: number, value: number): void {
    const seconds = this.#rows.get(vm)?.get(at)?.seconds ?? 0;
    this.add(vm, at, seconds, sum, value, 'sum');
    this.add(vm, at, seconds, count, 1, 'sum');
  }

  /** Columns that a part adds up. */
  columnsOf({ metric, kind, labels }: Part): number[] {
    const wanted = Object.entries(labels);
    return this.columns.flatMap((column, i) => {
      const isPart = column.metric === metric && column.kind === kind;
      return isPart && wanted.every(([label, values]) => values.includes(column.labels[label] ?? ''))
        ? [i]
        : [];
    });
  }
}

/** The sum over columns: NaN if there is no sample, or if one of them is unknown. */
export function sumOf({ values }: Row, columns: readonly number[]): number {
  let sum = Number.NaN;
  for (const column of columns) {
    const value = values[column];
    if (value === undefined || Number.isNaN(value)) continue;
    if (value === UNKNOWN) return Number.NaN;
    sum = Number.isNaN(sum) ? value : sum + value;
  }
  return sum;
}
