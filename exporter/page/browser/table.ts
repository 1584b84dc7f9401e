import { COLUMNS, type Column, type Row } from './columns.ts';
import { isHidden, KINDS } from './conditions.ts';
import { el, linkTo, setAttribute, setText } from './dom.ts';
import { exact, plural } from './format.ts';
import { smallLines } from './small-lines.ts';
import { filtered, held, type Order, pressed, sorted } from './sorting.ts';
import { hashOf, type TableState } from './table-state.ts';

/** Extra rows outside the viewport, so that fast scrolling shows no empty space. */
const SPARE = 8;

/** The table of VMs. Only visible rows are in the document, and only changes are written. */
export class VmTable {
  readonly element: HTMLElement;
  readonly #scroller: HTMLElement;
  readonly #table: HTMLTableElement;
  readonly #body = el('tbody', { role: 'rowgroup' });
  readonly #above = spacer();
  readonly #below = spacer();
  readonly #heads = new Map<Column, HTMLTableCellElement>();
  readonly #rows = new Map<string, HTMLTableRowElement>();
  readonly #summary = el('p', { class: 'muted summary', role: 'status', 'aria-live': 'off' });
  readonly #search: HTMLInputElement;
  readonly #noMatch = el('p', { class: 'empty', role: 'status' });
  #order: Order;
  #filter: string;
  /** Height of a row: of a line, or of a card in a narrow window. The style sheet sets it. */
  #rowPx = 34;
  #all: readonly Row[] = [];
  #shown: readonly Row[] = [];
  /** The row that receives focus with Tab. */
  #current: string | undefined;

  /** @param changed called with the hash of the URL when the user sorts or filters */
  constructor(
    { order, filter }: TableState,
    private readonly open: (vm: string) => void,
    private readonly changed: (hash: string) => void,
  ) {
    this.#order = order;
    this.#filter = filter;
    const search = el('input', {
      type: 'search',
      id: 'filter',
      placeholder: 'name, stage, drift …  ( / )',
      autocomplete: 'off',
      'aria-label': 'Show only VMs that contain these words',
      'aria-keyshortcuts': '/',
      spellcheck: 'false',
    });
    search.value = filter;
    search.addEventListener('input', () => this.#show({ order: this.#order, filter: search.value }));
    this.#search = search;
    const clear = el('button', { type: 'button', class: 'plain' }, 'Clear the filter');
    clear.addEventListener('click', () => this.#show({ order: this.#order, filter: '' }));
    const noMatch = el('div', { class: 'no-match' }, this.#noMatch, clear);
    // A table that is shown as cards keeps its roles only if they are explicit.
    const head = el('tr', { 'aria-rowindex': '1', role: 'row' });
    for (const column of COLUMNS) head.append(this.#head(column));
    this.#table = el(
      'table',
      { class: 'vms', id: 'vms', role: 'table', 'aria-label': 'VMs of this host' },
      el('thead', { role: 'rowgroup' }, head),
      this.#body,
    );
    this.#scroller = el('div', { class: 'scroller', tabindex: '-1' }, this.#table);
    this.#scroller.addEventListener('scroll', () => this.#render(), { passive: true });
    new ResizeObserver(() => {
      const px = Number.parseFloat(getComputedStyle(this.#table).getPropertyValue('--row'));
      if (px > 0) this.#rowPx = px;
      this.#render();
    }).observe(this.#scroller);
    this.#body.append(this.#above, this.#below);
    this.#body.addEventListener('keydown', (event) => this.#key(event));
    this.#body.addEventListener('click', (event) => this.#click(event));
    this.#body.addEventListener('focusin', (event) => {
      const row = event.target instanceof Element ? event.target.closest('tr') : null;
      this.#current = row?.dataset['vm'] ?? this.#current;
    });
    for (const kind of ['pointerover', 'focusin'] as const) {
      this.#body.addEventListener(kind, (event) => this.#explain(event.target));
    }
    this.element = el(
      'section',
      { 'aria-labelledby': 'vms-title' },
      el('div', { class: 'bar' }, el('h2', { id: 'vms-title' }, 'VMs'), search, this.#summary),
      noMatch,
      this.#scroller,
    );
  }

  /** The hash of the URL for the present view. */
  get hash(): string {
    return hashOf({ order: this.#order, filter: this.#filter });
  }

  /** Applies the order and filter of a URL, if they differ. */
  take(state: TableState): void {
    if (hashOf(state) !== this.hash) this.#show(state);
  }

  focusFilter(): void {
    this.#search.focus();
    this.#search.select();
  }

  #show({ order, filter }: TableState): void {
    this.#order = order;
    this.#filter = filter;
    if (this.#search.value !== filter) this.#search.value = filter;
    this.#scroller.scrollTop = 0;
    this.#arrange(false);
    this.changed(this.hash);
  }

  update(rows: readonly Row[]): void {
    this.#all = rows;
    // Do not reorder rows while the pointer or the focus is on them.
    this.#arrange(this.#body.matches(':hover') || this.#body.contains(document.activeElement));
  }

  #arrange(isHeld: boolean): void {
    const rows = filtered(this.#all, this.#filter);
    this.#shown = isHeld
      ? held(
          rows,
          this.#shown.map(({ vm }) => vm.vm),
        )
      : sorted(rows, this.#order);
    if (!this.#shown.some(({ vm }) => vm.vm === this.#current)) this.#current = this.#shown[0]?.vm.vm;
    setText(this.#summary, summary(this.#all, rows.length));
    setText(this.#noMatch, `No VM contains “${this.#filter}”.`);
    setAttribute(this.element, 'data-empty', rows.length === 0 ? 'true' : undefined);
    this.#table.setAttribute('aria-rowcount', String(this.#shown.length + 1));
    for (const [column, cell] of this.#heads) {
      setAttribute(cell, 'aria-sort', column === this.#order.column ? this.#order.direction : undefined);
    }
    this.#render();
  }

  #render(): void {
    const height = this.#scroller.clientHeight;
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.#rowPx) - SPARE);
    const last = Math.min(this.#shown.length, first + Math.ceil(height / this.#rowPx) + 2 * SPARE);
    const window = this.#shown.slice(first, last);
    const names = new Set(window.map(({ vm }) => vm.vm));
    const hadFocus = document.activeElement instanceof HTMLTableRowElement;
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    setHeight(this.#above, first * this.#rowPx);
    setHeight(this.#below, (this.#shown.length - last) * this.#rowPx);
    for (const [i, row] of window.entries()) {
      const element = this.#rows.get(row.vm.vm) ?? this.#make(row.vm.vm);
      const place = this.#body.children[i + 1] ?? null;
      if (place !== element) this.#body.insertBefore(element, place);
      setAttribute(element, 'aria-rowindex', String(first + i + 2));
      setAttribute(element, 'tabindex', row.vm.vm === this.#current ? '0' : '-1');
      write(element, row);
    }
    if (hadFocus && this.#current !== undefined && !this.#body.contains(document.activeElement)) {
      this.#rows.get(this.#current)?.focus({ preventScroll: true });
    }
  }

  #head(column: Column): HTMLTableCellElement {
    const button = el('button', { type: 'button', title: column.help }, column.label);
    if (column.unit !== '') button.append(el('small', {}, column.unit));
    button.addEventListener('click', () => {
      this.#show({ order: pressed(this.#order, column), filter: this.#filter });
    });
    const cell = el(
      'th',
      { scope: 'col', role: 'columnheader', class: `c-${column.key}${column.isNumber ? ' number' : ''}` },
      button,
    );
    this.#heads.set(column, cell);
    return cell;
  }

  #make(vm: string): HTMLTableRowElement {
    const row = el('tr', { 'data-vm': vm, role: 'row' });
    for (const { key, label, isNumber } of COLUMNS) {
      const attributes = {
        class: `c-${key}${isNumber ? ' number' : ''}`,
        'data-column': key,
        'data-label': label,
      };
      row.append(
        key === 'vm'
          ? el(
              'th',
              { ...attributes, scope: 'row', role: 'rowheader' },
              el('a', { href: linkTo(vm), tabindex: '-1' }, vm),
            )
          : el('td', { ...attributes, role: 'cell' }),
      );
    }
    this.#rows.set(vm, row);
    return row;
  }

  #key(event: KeyboardEvent): void {
    const at = this.#shown.findIndex(({ vm }) => vm.vm === this.#current);
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#rowPx) - 2);
    const to: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: this.#shown.length - 1,
    };
    if (event.key === 'Enter' && this.#current !== undefined) {
      event.preventDefault();
      this.open(this.#current);
      return;
    }
    const target = to[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#focus(Math.min(this.#shown.length - 1, Math.max(0, target)));
  }

  #focus(index: number): void {
    this.#current = this.#shown[index]?.vm.vm;
    const head = this.#table.tHead?.offsetHeight ?? 0;
    const top = index * this.#rowPx;
    const room = this.#scroller.clientHeight - head - this.#rowPx;
    if (top < this.#scroller.scrollTop) this.#scroller.scrollTop = top;
    else if (top > this.#scroller.scrollTop + room) this.#scroller.scrollTop = top - room;
    this.#render();
    if (this.#current !== undefined) this.#rows.get(this.#current)?.focus({ preventScroll: true });
  }

  #click(event: MouseEvent): void {
    const row = event.target instanceof Element ? event.target.closest('tr') : null;
    const vm = row?.dataset['vm'];
    if (vm === undefined || event.target instanceof HTMLAnchorElement) return;
    // Selecting text must not open the VM.
    if (document.getSelection()?.isCollapsed !== false) this.open(vm);
  }

  /** Shows the counters behind a number as its tooltip, created on hover or focus. */
  #explain(target: EventTarget | null): void {
    const cell = target instanceof Element ? target.closest<HTMLElement>('[data-column]') : null;
    const vm = cell?.closest('tr')?.dataset['vm'];
    const row = this.#shown.find((each) => each.vm.vm === vm);
    const column = COLUMNS.find(({ key }) => key === cell?.dataset['column']);
    if (cell === null || row === undefined || column === undefined) return;
    const raw = column.raw(row.vm).map(([metric, value]) => `${metric} ${exact(value)}`);
    const whole = column.isNumber ? [] : [column.text(row)];
    setAttribute(cell, 'title', [...whole, column.help, ...raw].join('\n'));
  }
}

function write(element: HTMLTableRowElement, row: Row): void {
  for (const [i, column] of COLUMNS.entries()) {
    const cell = element.children[i];
    if (cell === undefined || column.key === 'vm') continue;
    if (column.key === 'hour') writeLines(cell, row);
    else setText(cell, column.text(row));
  }
  const { drift, silent, state, techniques } = row.vm;
  const isStill = state !== undefined && state !== 'running';
  const classes = [
    (drift?.threads ?? 0) > 0 ? 'drifting' : '',
    isStill ? 'still' : '',
    techniques.some((technique) => technique.state === 'lost') ? 'has-loss' : '',
    row.conditions.length > 0 ? `is-${row.conditions[0]?.kind.replace(' ', '-')}` : '',
  ];
  setAttribute(element, 'class', classes.filter(Boolean).join(' ') || undefined);
  const unseen = isHidden(row.vm, 'io') ? 'disk I/O not visible to the host' : '';
  const notes = [
    isStill ? state : '',
    unseen,
    ...silent.map((source) => `${source} does not respond`),
  ].filter(Boolean);
  const head = element.children[0];
  if (head !== undefined) setAttribute(head, 'data-note', notes.join(', ') || undefined);
}

const drawnHours = new WeakMap<Element, Row['hour']>();
/** The style sheet has no room for the lines then. */
const hidesLines = matchMedia('(min-width: 1280px) and (max-width: 1439px)');

/** They change once a minute. */
function writeLines(cell: Element, { hour }: Row): void {
  if (hour === undefined || hidesLines.matches || drawnHours.get(cell) === hour) return;
  drawnHours.set(cell, hour);
  cell.replaceChildren(...smallLines(hour));
}

function spacer(): HTMLTableRowElement {
  return el('tr', { 'aria-hidden': 'true', class: 'spacer' }, el('td'));
}

/** `6 VMs: 1 stalled, 2 drift`, or `2 of 6 VMs` with a filter. */
function summary(all: readonly Row[], shown: number): string {
  const vms = plural(all.length, 'VM');
  const found = KINDS.map((kind) => {
    const number = all.filter(({ conditions }) => conditions.some((each) => each.kind === kind)).length;
    return number === 0 ? '' : `${number} ${kind}`;
  })
    .filter(Boolean)
    .join(', ');
  return `${shown === all.length ? vms : `${shown} of ${vms}`}${found === '' ? '' : `: ${found}`}`;
}

function setHeight(row: HTMLTableRowElement, px: number): void {
  const height = `${px}px`;
  if (row.style.height !== height) row.style.height = height;
}
