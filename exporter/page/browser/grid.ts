import { el, setAttribute, setText } from './dom.ts';

export interface Head {
  readonly label: string;
  readonly help?: string;
  readonly isNumber?: boolean;
}

export interface GridCell {
  readonly text: string;
  readonly title?: string | undefined;
  readonly class?: string | undefined;
  /** Intensity of the cell's colour, from 0 to 1. */
  readonly heat?: number | undefined;
}

export interface GridRow {
  readonly key: string;
  readonly class?: string | undefined;
  readonly cells: readonly (string | GridCell)[];
}

/** A table of a few rows whose cells are updated in place. The first cell of each row is its header. */
export class Grid {
  readonly element: HTMLTableElement;
  readonly #head = el('tr');
  readonly #body = el('tbody');
  readonly #rows = new Map<string, HTMLTableRowElement>();
  #heads: readonly Head[] = [];

  constructor(caption: string, className = '') {
    this.element = el(
      'table',
      { class: `grid ${className}` },
      el('caption', { class: 'hidden' }, caption),
      el('thead', {}, this.#head),
      this.#body,
    );
  }

  update(heads: readonly Head[], rows: readonly GridRow[]): void {
    if (JSON.stringify(heads) !== JSON.stringify(this.#heads)) {
      this.#heads = heads;
      this.#head.replaceChildren(
        ...heads.map(({ label, help, isNumber }) =>
          el('th', { scope: 'col', title: help, class: isNumber ? 'number' : undefined }, label),
        ),
      );
      this.#rows.clear();
      this.#body.replaceChildren();
    }
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    for (const [i, row] of rows.entries()) {
      const element = this.#rows.get(row.key) ?? this.#make(row.key);
      if (this.#body.children[i] !== element)
        this.#body.insertBefore(element, this.#body.children[i] ?? null);
      setAttribute(element, 'class', row.class);
      for (const [j, cell] of row.cells.entries()) write(element.children[j], this.#heads[j], cell);
    }
  }

  #make(key: string): HTMLTableRowElement {
    const row = el('tr', { 'data-key': key });
    for (let i = 0; i < this.#heads.length; i++) row.append(i === 0 ? el('th', { scope: 'row' }) : el('td'));
    this.#rows.set(key, row);
    return row;
  }
}

function write(element: Element | undefined, head: Head | undefined, content: string | GridCell): void {
  if (!(element instanceof HTMLElement)) return;
  const cell = typeof content === 'string' ? { text: content } : content;
  setText(element, cell.text);
  setAttribute(element, 'title', cell.title);
  const classes = [head?.isNumber ? 'number' : '', cell.class ?? '', cell.heat === undefined ? '' : 'heat'];
  setAttribute(element, 'class', classes.filter(Boolean).join(' ') || undefined);
  if (cell.heat !== undefined) element.style.setProperty('--heat', cell.heat.toFixed(2));
}
