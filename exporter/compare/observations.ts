import { getOrInsert } from '../../kernel/maps.ts';
import type { Observation } from './model.ts';
import type { PeriodRows } from './rows.ts';
import { type Row, sumOf, type Table } from './table.ts';
import { alternativesOf, type Part, type Term } from './terms.ts';

/** Columns of each part of a term. */
type Columns = readonly (readonly number[])[];

/** Evaluates terms on the rows of VMs. */
export class Evaluation {
  readonly #chosen = new Map<Term, Map<string, Columns | undefined>>();

  /** @param periods all of the comparison: a VM's source of a term is the same in each of them */
  constructor(
    private readonly table: Table,
    private readonly periods: readonly PeriodRows[],
  ) {}

  /** Whether a VM has the term from a source other than the first. */
  isSecondChoice(term: Term, vm: string): boolean {
    const columns = this.#columnsFor(term, vm);
    const first = alternativesOf(term)[0];
    return columns !== undefined && first !== undefined && !isSame(columns, this.#columnsOf(first));
  }

  /** The growth from scrape to scrape, summed over the VMs: only where each term is known. */
  observations(terms: readonly Term[], { rows, interval }: PeriodRows): Observation[] {
    const isOne = rows.size === 1;
    const slots = new Map<number, { at: number; seconds: number; sums: number[] }>();
    for (const [vm, list] of rows) {
      const columns = terms.map((term) => (term === 'time' ? 'time' : this.#columnsFor(term, vm)));
      if (columns.includes(undefined)) continue;
      for (const row of list) {
        const values = columns.map((each) =>
          each === 'time' || each === undefined ? row.seconds : total(row, each),
        );
        if (values.some(Number.isNaN)) continue;
        const { at, seconds } = row;
        const slot = isOne ? at : Math.round(at / interval);
        const made = getOrInsert(slots, slot, () => ({ at, seconds, sums: terms.map(() => 0) }));
        for (const [i, value] of values.entries()) made.sums[i] = (made.sums[i] ?? 0) + value;
        made.at = Math.max(made.at, at);
      }
    }
    return [...slots.values()].sort((a, b) => a.at - b.at);
  }

  /** Sum of a term over all rows where it is known together with another one. */
  sums(terms: readonly Term[], period: PeriodRows): number[] | undefined {
    const all = this.observations(terms, period);
    if (all.length === 0) return undefined;
    return terms.map((_, i) => all.reduce((sum, { sums }) => sum + (sums[i] ?? 0), 0));
  }

  /** The first alternative among those that are known in most periods. */
  #columnsFor(term: Term, vm: string): Columns | undefined {
    const byVm = getOrInsert(this.#chosen, term, () => new Map<string, Columns | undefined>());
    if (byVm.has(vm)) return byVm.get(vm);
    const known = (columns: Columns): number =>
      this.periods.filter(({ rows }) =>
        (rows.get(vm) ?? []).some((row) => !Number.isNaN(total(row, columns))),
      ).length;
    let best: { readonly columns: Columns; readonly periods: number } | undefined;
    for (const parts of alternativesOf(term)) {
      const columns = this.#columnsOf(parts);
      const periods = known(columns);
      if (periods > (best?.periods ?? 0)) best = { columns, periods };
    }
    byVm.set(vm, best?.columns);
    return best?.columns;
  }

  #columnsOf(parts: readonly Part[]): Columns {
    return parts.map((part) => this.table.columnsOf(part));
  }
}

function total(row: Row, columns: Columns): number {
  return columns.reduce((sum, each) => sum + sumOf(row, each), 0);
}

function isSame(a: Columns, b: Columns): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
