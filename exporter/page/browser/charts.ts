import { el, setText } from './dom.ts';
import type { Drawn } from './history.ts';
import type { Mark } from './store.ts';
import uPlot from './vendor/uplot.js';

export interface ChartOptions {
  readonly title: string;
  /** Explanation of the numbers. */
  readonly help: string;
  format(value: number | undefined): string;
  /** Format of axis values that are `step` apart. Defaults to format(). */
  tick?(value: number, step: number): string;
}

export interface Line {
  readonly name: string;
  /** Index of the colour in the style sheet. */
  readonly colour: number;
}

const HEIGHT = 176;
/** Shortest time range of the x axis, in seconds. */
const SHORTEST = 60;
const COLOURS = 8;
/** All charts share one cursor. */
const SYNC = uPlot.sync('kvm-telemetry');

/** Lines over the last hour, with changes as marks. */
export class Chart {
  readonly element: HTMLElement;
  readonly #plotElement = el('div', { class: 'plot', role: 'img' });
  readonly #empty = el('p', { class: 'empty' });
  readonly #legend = el('ul', { class: 'legend' });
  readonly #values: HTMLElement[] = [];
  #plot: uPlot | undefined;
  #lines = '';
  #marks: readonly Mark[] = [];
  #last: { lines: readonly Line[]; drawn: Drawn; marks: readonly Mark[] } | undefined;

  constructor(private readonly options: ChartOptions) {
    this.element = el(
      'figure',
      { class: 'chart' },
      el('figcaption', { title: options.help }, options.title, el('small', {}, options.help)),
      this.#empty,
      this.#plotElement,
      this.#legend,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#plotElement);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.#lines = '';
      if (this.#last !== undefined) this.update(this.#last.lines, this.#last.drawn, this.#last.marks);
    });
  }

  update(lines: readonly Line[], drawn: Drawn, marks: readonly Mark[], empty = 'No data yet.'): void {
    this.#last = { lines, drawn, marks };
    const isEmpty = lines.length === 0;
    this.#empty.hidden = !isEmpty;
    this.#empty.textContent = isEmpty ? empty : '';
    this.#plotElement.hidden = isEmpty;
    this.#legend.hidden = isEmpty;
    this.element.classList.toggle('is-empty', isEmpty);
    this.#marks = marks;
    if (isEmpty) return;
    const key = JSON.stringify(lines);
    const data = [drawn.times, ...drawn.values] as uPlot.AlignedData;
    if (this.#plot === undefined || key !== this.#lines) {
      this.#plot?.destroy();
      this.#describeLines(lines);
      this.#plot = new uPlot(this.#settings(lines), data, this.#plotElement);
      this.#lines = key;
    } else this.#plot.setData(data);
    this.#describeCursor(this.#plot.cursor.idx);
    this.#plotElement.setAttribute('aria-label', this.#describe(lines, drawn));
  }

  destroy(): void {
    this.#plot?.destroy();
  }

  #describeLines(lines: readonly Line[]): void {
    this.#values.length = 0;
    this.#legend.replaceChildren(
      ...lines.map(({ name, colour }) => {
        const value = el('b');
        this.#values.push(value);
        return el('li', { class: `s${colour % COLOURS}` }, name, ' ', value);
      }),
    );
  }

  /** Shows the values at the cursor, or the latest values without one. */
  #describeCursor(index: number | null | undefined): void {
    const values = this.#last?.drawn.values ?? [];
    for (const [i, element] of this.#values.entries()) {
      const line = values[i] ?? [];
      setText(element, this.options.format(line[index ?? line.length - 1] ?? undefined));
    }
  }

  #describe(lines: readonly Line[], { values }: Drawn): string {
    const now = lines.map(({ name }, i) => `${name} ${this.options.format(values[i]?.at(-1) ?? undefined)}`);
    const marks = this.#marks.map(({ at, label }) => `${label} since ${clock(at)}`);
    return [`${this.options.title}, now: ${now.join(', ')}`, ...marks].join('; ');
  }

  #settings(lines: readonly Line[]): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const font = '11px system-ui, sans-serif';
    const axis = {
      stroke: colour('--muted'),
      font,
      labelFont: font,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { stroke: colour('--line'), width: 1, size: 4 },
    };
    const { format, tick = format } = this.options;
    return {
      width: this.#plotElement.clientWidth || 320,
      height: HEIGHT,
      padding: [14, 10, 0, 0],
      cursor: { sync: { key: SYNC.key }, drag: { x: false, y: false }, points: { size: 5 } },
      legend: { show: false },
      scales: {
        // At most an hour. A few seconds of data are not stretched to the full width.
        x: { time: true, range: (_, min, max) => [Math.min(min, max - SHORTEST), max] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 26, space: 60, values: (_, splits) => splits.map(clock) },
        {
          ...axis,
          size: 58,
          values: (_, splits, __, ___, step) => splits.map((value) => tick(value, step)),
        },
      ],
      series: [
        {},
        ...lines.map(
          ({ name, colour: number }): uPlot.Series => ({
            label: name,
            stroke: colour(`--c${number % COLOURS}`),
            width: 1.6,
            points: { show: false },
          }),
        ),
      ],
      hooks: {
        draw: [(plot) => this.#drawMarks(plot, colour('--mark'), font)],
        setCursor: [(plot) => this.#describeCursor(plot.cursor.idx)],
      },
    };
  }

  #drawMarks(plot: uPlot, colour: string, font: string): void {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.fillStyle = colour;
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.font = font.replace(/^\d+/, String(11 * ratio));
    for (const { at, label } of this.#marks) {
      const x = Math.round(plot.valToPos(at, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const isRight = x + ctx.measureText(label).width > bbox.left + bbox.width;
      ctx.textAlign = isRight ? 'right' : 'left';
      ctx.fillText(label, x + (isRight ? -4 : 4) * ratio, bbox.top - 3 * ratio);
    }
    ctx.restore();
  }

  #resize(): void {
    const width = this.#plotElement.clientWidth;
    if (this.#plot !== undefined && width > 0 && width !== this.#plot.width) {
      this.#plot.setSize({ width, height: HEIGHT });
    }
  }
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

function clock(seconds: number): string {
  return TIME.format(seconds * 1000);
}
