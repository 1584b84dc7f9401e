import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { header } from '../../exporter/http/exposition.ts';
import type { Family } from '../../exporter/metrics/families.ts';
import { getOrInsert } from '../../kernel/maps.ts';

/** Receives collections. */
export interface HistorySink {
  /** @param at Unix time in seconds, ascending */
  take(families: readonly Family[], at: number): void;
}

/** Characters per family that are kept in memory. */
const BUFFERED = 1 << 18;

interface SeriesName {
  readonly labels: string;
  readonly suffix: string;
  /** Name and labels in text format. */
  readonly named: string;
}

/**
 * One family. Its lines go to a separate file, because OpenMetrics requires all lines of a family together.
 */
class FamilyFile {
  readonly head: string;
  readonly path: string;
  readonly #fd: number;
  /** By suffix and labels. */
  readonly #series = new Map<string, SeriesName>();
  /** In the order of the last collection. */
  readonly #before: SeriesName[] = [];
  #text = '';

  constructor(
    folder: string,
    private readonly family: Pick<Family, 'name' | 'type' | 'help'>,
    private readonly target: string,
  ) {
    this.head = header({ ...family, labels: [], values: [], suffixes: [] }, true);
    this.path = `${folder}/${family.name}`;
    this.#fd = openSync(this.path, 'w');
  }

  take({ labels, values, suffixes }: Family, at: number): void {
    const end = ` ${at}\n`;
    let text = '';
    for (let i = 0; i < values.length; i++) {
      text += this.#named(i, labels[i] ?? '', suffixes[i] ?? '') + values[i] + end;
    }
    this.#text += text;
    if (this.#text.length > BUFFERED) this.#flush();
  }

  /** Most series keep their position between collections, and a comparison costs less than a lookup. */
  #named(i: number, labels: string, suffix: string): string {
    const before = this.#before[i];
    if (before?.labels === labels && before.suffix === suffix) return before.named;
    const key = suffix + labels;
    let series = this.#series.get(key);
    if (series === undefined) {
      const all = labels === '' ? this.target : `${this.target},${labels}`;
      // join() makes a flat string, which is then appended to other strings a thousand times.
      const named = [this.family.name, suffix, '{', all, '} '].join('');
      series = { labels, suffix, named };
      this.#series.set(key, series);
    }
    this.#before[i] = series;
    return series.named;
  }

  #flush(): void {
    writeSync(this.#fd, this.#text);
    this.#text = '';
  }

  close(): void {
    this.#flush();
    closeSync(this.#fd);
  }
}

/**
 * Writes collections as OpenMetrics with timestamps. Memory does not grow with time, because the families
 * stay in files until the end.
 */
export class OpenMetricsFile implements HistorySink {
  readonly #families = new Map<string, FamilyFile>();
  readonly #parts: string;

  /** @param target labels of the scrape: `instance="a:1",job="b"` */
  constructor(
    readonly path: string,
    private readonly target = 'instance="sim-host:9954",job="kvm-telemetry"',
  ) {
    this.#parts = `${path}.parts`;
    rmSync(this.#parts, { recursive: true, force: true });
    mkdirSync(this.#parts, { recursive: true });
  }

  take(families: readonly Family[], at: number): void {
    for (const family of families) {
      const start = (): FamilyFile => new FamilyFile(this.#parts, family, this.target);
      getOrInsert(this.#families, family.name, start).take(family, at);
    }
  }

  /** Concatenates the families, ordered by name. */
  async end(): Promise<void> {
    const files = [...this.#families].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
    for (const file of files) file.close();
    const out = createWriteStream(this.path);
    await pipeline(async function* () {
      for (const { head, path } of files) {
        yield head;
        yield* createReadStream(path, { highWaterMark: 1 << 20 });
      }
      yield '# EOF\n';
    }, out);
    rmSync(this.#parts, { recursive: true });
  }
}
