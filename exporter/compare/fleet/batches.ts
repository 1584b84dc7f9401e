import { groupBy } from '../../../kernel/maps.ts';
import { TooMuchError } from '../../prometheus/errors.ts';

export interface CountedHost {
  readonly cluster: string;
  readonly instance: string;
  /** Number of series of one name. */
  readonly series: number;
}

/** Hosts whose series are read by one query. */
export interface Batch {
  /** undefined for several. */
  readonly cluster: string | undefined;
  readonly hosts: readonly CountedHost[];
  /** Whether these are some hosts of the cluster, and not all. */
  readonly isPart: boolean;
}

/** A third of what VictoriaMetrics allows a selector. */
const MAX_SERIES = 100_000;
/** VictoriaMetrics allows a query 16,384 bytes, and a query has up to four selectors. */
const MAX_BYTES = 3000;

/** Hosts in batches that a store reads within its limits: all together or whole clusters where that is few enough. */
export function batchesOf(hosts: readonly CountedHost[]): Batch[] {
  if (seriesOf(hosts) <= MAX_SERIES) return [{ cluster: undefined, hosts, isPart: false }];
  return byCluster(hosts).flatMap((batch) =>
    seriesOf(batch.hosts) <= MAX_SERIES
      ? [batch]
      : cut(batch.hosts).map((part) => ({ ...batch, hosts: part, isPart: true })),
  );
}

function byCluster(hosts: readonly CountedHost[]): Batch[] {
  const found = groupBy(hosts, ({ cluster }) => cluster);
  return [...found].map(([cluster, own]) => ({ cluster, hosts: own, isPart: false }));
}

function seriesOf(hosts: readonly CountedHost[]): number {
  return hosts.reduce((sum, { series }) => sum + series, 0);
}

function cut(hosts: readonly CountedHost[]): CountedHost[][] {
  const found: CountedHost[][] = [];
  for (let left = inOrder(hosts); left.length > 0; ) {
    let [count, series] = [0, 0];
    for (const host of left) {
      series += host.series;
      if (count > 0 && series > MAX_SERIES) break;
      count++;
    }
    while (count > 1 && bytesOf(left.slice(0, count)) > MAX_BYTES) count = Math.floor(0.9 * count);
    found.push(left.slice(0, count));
    left = left.slice(count);
  }
  return found;
}

/** Neighbours share the longest prefix. */
function inOrder(hosts: readonly CountedHost[]): CountedHost[] {
  return [...hosts].sort((a, b) => Buffer.compare(Buffer.from(a.instance), Buffer.from(b.instance)));
}

/** In a query, where a backslash is two. */
function bytesOf(hosts: readonly CountedHost[]): number {
  return Buffer.byteLength(JSON.stringify(regexOfNames(hosts.map(({ instance }) => instance))));
}

/** Smaller ones; none if it is one host. */
function halves({ cluster, hosts }: Batch): Batch[] {
  const clusters = cluster === undefined ? byCluster(hosts) : [];
  if (clusters.length > 1) return clusters;
  const sorted = inOrder(hosts);
  const middle = Math.ceil(sorted.length / 2);
  const name = cluster ?? clusters[0]?.cluster;
  return [sorted.slice(0, middle), sorted.slice(middle)]
    .filter(({ length }) => length > 0 && length < sorted.length)
    .map((part) => ({ cluster: name, hosts: part, isPart: true }));
}

/**
 * Reads each batch. Splits a batch that is too large for the store into halves.
 *
 * @returns the batches that were read
 */
export async function readEach(
  batches: readonly Batch[],
  read: (batch: Batch) => Promise<void>,
): Promise<Batch[]> {
  const done: Batch[] = [];
  const left = [...batches].reverse();
  for (let batch = left.pop(); batch !== undefined; batch = left.pop()) {
    try {
      await read(batch);
      done.push(batch);
    } catch (error) {
      const smaller = error instanceof TooMuchError ? halves(batch) : [];
      if (smaller.length === 0) throw error;
      left.push(...smaller.reverse());
    }
  }
  return done;
}

/** RE2 that matches exactly these names, with their common prefix and suffix written once. */
export function regexOfNames(names: readonly string[]): string {
  const all = [...new Set(names)].map((name) => [...name]);
  const [first = [], ...others] = all;
  if (others.length === 0) return escaped(first);
  const shortest = Math.min(...all.map(({ length }) => length));
  const prefix = common(shortest, (i) => others.every((name) => name[i] === first[i]));
  const suffix = common(shortest - prefix, (i) =>
    others.every((name) => name.at(-1 - i) === first.at(-1 - i)),
  );
  const inner = all.map((name) => escaped(name.slice(prefix, name.length - suffix)));
  return `${escaped(first.slice(0, prefix))}(?:${inner.join('|')})${escaped(first.slice(first.length - suffix))}`;
}

function common(most: number, isSame: (i: number) => boolean): number {
  for (let i = 0; i < most; i++) if (!isSame(i)) return i;
  return most;
}

function escaped(characters: readonly string[]): string {
  return characters.map((one) => (/[\\^$.+*?()[\]{}|]/.test(one) ? `\\${one}` : one)).join('');
}

/** RE2 of a pattern with `*` and `?`. */
export function regexOfPattern(pattern: string): string {
  return [...pattern].map((one) => ({ '*': '.*', '?': '.' })[one] ?? escaped([one])).join('');
}
