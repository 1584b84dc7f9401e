import { append } from '../kernel/maps.ts';

/** A line of perf has less than 300 characters. */
const MAX_LINE = 64 * 1024;

/** One line of `perf stat -j -I`: the count of an event in one interval (tools/perf/util/stat-display.c). */
export interface PerfReading {
  /** Seconds since perf started, at the end of the interval. The same on all lines of an interval. */
  readonly interval: number;
  readonly event: string;
  /** 0 if no thread ran; undefined if the kernel does not support the event. */
  readonly count: number | undefined;
}

/** Extracts the readings from perf's output. Skips other lines, such as warnings. */
export class PerfStatLines {
  #line = '';
  #tooLong = false;

  /** Buffered characters of an incomplete line. */
  get pending(): number {
    return this.#line.length;
  }

  *push(chunk: string): Generator<PerfReading> {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      this.#keep(chunk, start, end);
      start = end + 1;
      const reading = parsePerfStatLine(this.#line);
      this.#line = '';
      this.#tooLong = false;
      if (reading !== undefined) yield reading;
    }
    this.#keep(chunk, start, chunk.length);
  }

  #keep(chunk: string, start: number, end: number): void {
    if (this.#line.length + end - start > MAX_LINE) this.#tooLong = true;
    this.#line = this.#tooLong ? '' : this.#line + chunk.slice(start, end);
  }
}

/** @returns undefined for a line that is not a reading */
export function parsePerfStatLine(line: string): PerfReading | undefined {
  if (!line.startsWith('{')) return undefined;
  let fields: Readonly<Record<string, unknown>>;
  try {
    fields = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  const { interval, event, 'counter-value': value } = fields;
  if (typeof interval !== 'number' || typeof event !== 'string' || typeof value !== 'string')
    return undefined;
  if (value === '<not counted>') return { interval, event, count: 0 };
  if (value === '<not supported>') return { interval, event, count: undefined };
  const count = /^\d+(\.0+)?$/.test(value) ? Number(value) : Number.NaN;
  return Number.isSafeInteger(count) ? { interval, event, count } : undefined;
}

/** Counts of one interval, in the order of perf's events; undefined if perf reported no count. */
export type PerfCounts = readonly (number | undefined)[];

/**
 * Assigns the lines of an interval to the events that perf was given. perf prints events that differ only in
 * their filter with the same text and in the given order, so the first line belongs to the first event.
 */
export class PerfIntervals {
  readonly #places = new Map<string, number[]>();
  readonly #expected: number;
  #interval = Number.NaN;
  #received = 0;
  #counts = new Map<string, (number | undefined)[]>();

  constructor(events: readonly string[]) {
    events.forEach((event, place) => {
      append(this.#places, event, place);
    });
    this.#expected = events.length;
  }

  /** Yields intervals that are complete, or that no later line can complete. */
  *push({ interval, event, count }: PerfReading): Generator<PerfCounts> {
    if (interval !== this.#interval) yield* this.end();
    this.#interval = interval;
    if (!this.#places.has(event)) return;
    append(this.#counts, event, count);
    if (++this.#received === this.#expected) yield* this.end();
  }

  /** Yields the counts of an interval that was cut short. */
  *end(): Generator<PerfCounts> {
    if (this.#received === 0) return;
    const result = new Array<number | undefined>(this.#expected).fill(undefined);
    for (const [event, places] of this.#places) {
      const counts = this.#counts.get(event);
      // If a line is missing, the other lines cannot be assigned to their events.
      if (counts?.length !== places.length) continue;
      places.forEach((place, i) => {
        result[place] = counts[i];
      });
    }
    this.#counts = new Map();
    this.#received = 0;
    yield result;
  }
}
