import { COLUMNS, type Column } from './columns.ts';
import type { Order } from './sorting.ts';

/** Order and filter of the table. The URL has them, so that a view can be shared. */
export interface TableState {
  readonly order: Order;
  readonly filter: string;
}

/** Worst first. */
const DEFAULT_ORDER: Order = { column: column('condition'), direction: 'descending' };

/** `#/`, `#/?sort=-iops&q=db`. The minus is descending. */
export function hashOf({ order, filter }: TableState): string {
  const query = new URLSearchParams();
  if (order.column !== DEFAULT_ORDER.column || order.direction !== DEFAULT_ORDER.direction)
    query.set('sort', `${order.direction === 'descending' ? '-' : ''}${order.column.key}`);
  if (filter !== '') query.set('q', filter);
  return query.size === 0 ? '#/' : `#/?${query}`;
}

/** An unknown column is ignored. */
export function stateOf(hash: string): TableState {
  const query = new URLSearchParams(hash.startsWith('#/?') ? hash.slice(3) : '');
  const [, minus, key] = /^(-?)(\w+)$/.exec(query.get('sort') ?? '') ?? [];
  const sorted = COLUMNS.find((each) => each.key === key);
  return {
    order:
      sorted === undefined
        ? DEFAULT_ORDER
        : { column: sorted, direction: minus === '-' ? 'descending' : 'ascending' },
    filter: query.get('q') ?? '',
  };
}

function column(key: string): Column {
  const found = COLUMNS.find((each) => each.key === key);
  if (found === undefined) throw new Error(`no column ${key}`);
  return found;
}
