import type { Column, Row } from './columns.ts';

export interface Order {
  readonly column: Column;
  readonly direction: 'ascending' | 'descending';
}

const names = new Intl.Collator('en', { numeric: true });

/** Unknown values sort last in both directions. Equal values sort by name. */
export function sorted(rows: readonly Row[], { column, direction }: Order): Row[] {
  const sign = direction === 'ascending' ? 1 : -1;
  const keyed = rows.map((row) => ({ row, key: column.value(row) }));
  keyed.sort((a, b) => compare(a.key, b.key, sign) || names.compare(a.row.vm.vm, b.row.vm.vm));
  return keyed.map(({ row }) => row);
}

function compare(a: number | string | undefined, b: number | string | undefined, sign: number): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  if (typeof a === 'number' && typeof b === 'number') return sign * (a - b);
  return sign * names.compare(String(a), String(b));
}

/** The next order when a column's header is clicked. Numbers start with the largest. */
export function pressed(order: Order, column: Column): Order {
  const first = column.isNumber || ['condition', 'drift'].includes(column.key) ? 'descending' : 'ascending';
  if (order.column !== column) return { column, direction: first };
  return { column, direction: order.direction === 'ascending' ? 'descending' : 'ascending' };
}

/** Rows that contain every word of the filter in name, VMM, stage, phase, state, condition or drift. */
export function filtered(rows: readonly Row[], filter: string): Row[] {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (wanted.length === 0) return [...rows];
  return rows.filter(({ vm, conditions }) => {
    const { stage = '', inForce = '', phase = '', state = '', drift } = vm;
    const kinds = drift === undefined || drift.threads === 0 ? [] : drift.kinds;
    const text = [
      vm.vm,
      vm.vmm,
      stage,
      inForce,
      phase,
      state,
      ...kinds,
      ...kinds.map((kind) => kind.replaceAll('_', ' ')),
      ...conditions.map(({ kind }) => kind),
    ]
      .join('\n')
      .toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}

/** Keeps the rows in their displayed order. Appends new rows and drops removed ones. */
export function held(rows: readonly Row[], shown: readonly string[]): Row[] {
  const byName = new Map(rows.map((row) => [row.vm.vm, row]));
  const kept = shown.flatMap((name) => byName.get(name) ?? []);
  const known = new Set(shown);
  return [...kept, ...rows.filter(({ vm }) => !known.has(vm.vm))];
}
