import type { Fields } from './sink.ts';
import type { HistTrigger, Key } from './trigger.ts';

interface Row {
  readonly keys: readonly number[];
  hits: number;
  readonly sums: number[];
}

/** The map of one hist trigger: the events since it was set. */
export class HistMap {
  readonly #rows = new Map<string | number, Row>();
  #hits = 0;
  #dropped = 0;

  constructor(readonly trigger: HistTrigger) {}

  add(fields: Fields, times: number): void {
    if (!this.trigger.filter(fields)) return;
    const { keys, sums } = this.trigger;
    const name = nameOf(keys, fields);
    let row = this.#rows.get(name);
    if (row === undefined) {
      // tracing_map_insert(): a full map counts the events that it drops.
      if (this.#rows.size >= this.trigger.size) {
        this.#dropped += times;
        return;
      }
      row = this.#newRow(
        name,
        keys.map(({ field, modifier }) => keyValue(fields[field] ?? 0, modifier)),
      );
    }
    row.hits += times;
    this.#hits += times;
    for (let i = 0; i < sums.length; i++) {
      row.sums[i] = (row.sums[i] ?? 0) + (fields[sums[i] ?? ''] ?? 0) * times;
    }
  }

  #newRow(name: string | number, keys: readonly number[]): Row {
    const row = { keys, hits: 0, sums: this.trigger.sums.map(() => 0) };
    this.#rows.set(name, row);
    return row;
  }

  /**
   * Replaces the content.
   *
   * @param rows keys as printed (n for `~ 2^n`), hits, and sums; may be more than the map has room for
   */
  load(rows: readonly (readonly number[])[], dropped: number): void {
    this.clear();
    for (const each of rows) this.addRow(each);
    this.#dropped = dropped;
  }

  /** Counts events in one row. @param cells keys as printed, hits, and sums */
  addRow(cells: readonly number[]): void {
    const width = this.trigger.keys.length;
    const keys = cells.slice(0, width);
    const name = width === 1 ? (keys[0] ?? 0) : keys.join();
    const row = this.#rows.get(name) ?? this.#newRow(name, keys);
    row.hits += cells[width] ?? 0;
    this.#hits += cells[width] ?? 0;
    for (let i = 0; i < row.sums.length; i++) row.sums[i] = (row.sums[i] ?? 0) + (cells[width + 1 + i] ?? 0);
  }

  clear(): void {
    this.#rows.clear();
    this.#hits = 0;
    this.#dropped = 0;
  }

  /** As kernel/trace/trace_events_hist.c hist_trigger_show() prints it. */
  get text(): string {
    const { trigger } = this;
    const rows = [...this.#rows.values()].sort((a, b) => a.hits - b.hits);
    const lines = rows.map(({ keys, hits, sums }) => {
      const names = trigger.keys.map((key, i) => `${key.field}: ${keyText(key, keys[i] ?? 0)}`).join(', ');
      const values = trigger.sums.map((field, i) => `  ${field}: ${String(sums[i]).padStart(10)}`).join('');
      return `{ ${names} } hitcount: ${String(hits).padStart(10)}${values}\n`;
    });
    const header = `# event histogram\n#\n# trigger info: ${trigger.text} [active]\n#\n\n`;
    const totals = `\nTotals:\n    Hits: ${this.#hits}\n    Entries: ${rows.length}\n    Dropped: ${this.#dropped}\n`;
    return `${header}${lines.join('')}${totals}`;
  }
}

/** Key of a row. Called for each event, so it avoids an array. */
function nameOf(keys: readonly Key[], fields: Fields): string | number {
  let name: string | number = '';
  for (const { field, modifier } of keys) {
    const value = keyValue(fields[field] ?? 0, modifier);
    name = name === '' ? value : `${name},${value}`;
  }
  return name;
}

/** `.log2`: n for numbers above 2^(n-1) up to 2^n, ilog2(roundup_pow_of_two(n)). */
function keyValue(value: number, modifier: string): number {
  return modifier === 'log2' ? Math.ceil(Math.log2(Math.max(1, value))) : value;
}

function keyText({ modifier }: Key, value: number): string {
  if (modifier === 'hex') return value.toString(16);
  if (modifier === 'log2') return `~ 2^${String(value).padEnd(2)}`;
  return String(value).padStart(10);
}
