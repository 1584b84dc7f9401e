import type { HistogramName, LabelsOf, MetricName } from '../metrics/catalogue.ts';
import type { Family } from '../metrics/families.ts';

/** Families of one collection, by name. */
export type FamilyIndex = ReadonlyMap<string, Family>;

/** A metric of the catalogue. If it is renamed, uses of the old name do not compile. */
export type SeriesName = MetricName | HistogramName;

export interface Sample<M extends SeriesName> {
  /** Labels by name. A histogram's bucket has `le` as well. */
  readonly labels: Readonly<Record<LabelsOf<M>, string>>;
  readonly value: number;
}

export interface HistogramPart<M extends HistogramName> extends Sample<M> {
  readonly suffix: string;
  /** Upper bound of a bucket; undefined for the sum and the count. */
  readonly le: string | undefined;
}

export function indexOf(families: readonly Family[]): FamilyIndex {
  return new Map(families.map((family) => [family.name, family]));
}

/**
 * Samples of a metric; none if the collection does not have it.
 *
 * @param only yields samples of this value and does not parse the labels of the others
 */
export function* samplesOf<M extends SeriesName>(
  index: FamilyIndex,
  name: M,
  only?: number,
): Generator<Sample<M>> {
  const family = index.get(name);
  if (family === undefined) return;
  for (const [i, block] of family.labels.entries()) {
    const value = family.values[i] ?? 0;
    if (only === undefined || value === only) yield { labels: labelsOf(block), value };
  }
}

/**
 * Samples of one VM. Does not parse the labels of other VMs: each metric of VMs has `vm` as its first label.
 */
export function* samplesOfVm<M extends SeriesName>(
  index: FamilyIndex,
  name: M,
  vm: string,
): Generator<Sample<M>> {
  for (const { block, value } of rowsOfVm(index.get(name), vm)) yield { labels: labelsOf(block), value };
}

/** Buckets, sum and count of one VM's histograms. */
export function* histogramOfVm<M extends HistogramName>(
  index: FamilyIndex,
  name: M,
  vm: string,
): Generator<HistogramPart<M>> {
  for (const { block, value, suffix } of rowsOfVm(index.get(name), vm)) {
    const labels = labelsOf<LabelsOf<M> | 'le'>(block);
    yield { labels, value, suffix, le: suffix === '_bucket' ? labels.le : undefined };
  }
}

function* rowsOfVm(
  family: Family | undefined,
  vm: string,
): Generator<{ block: string; value: number; suffix: string }> {
  if (family === undefined) return;
  const prefix = `vm="${escaped(vm)}"`;
  for (const [i, block] of family.labels.entries()) {
    if (!block.startsWith(prefix)) continue;
    yield { block, value: family.values[i] ?? 0, suffix: family.suffixes[i] ?? '' };
  }
}

/** Parses a block that labelBlock() wrote: `vm="web",thread="vcpu0"`. */
export function labelsOf<L extends string>(block: string): Record<L, string> {
  const labels: Record<string, string> = {};
  let start = 0;
  let at = block.indexOf('="');
  while (at >= 0) {
    const from = at + 2;
    let end = block.indexOf('"', from);
    while (end > 0 && isEscaped(block, from, end)) end = block.indexOf('"', end + 1);
    const value = block.slice(from, end < 0 ? undefined : end);
    labels[block.slice(start, at)] = value.includes('\\') ? value.replace(/\\(.)/g, unescaped) : value;
    // A comma follows the quote.
    start = end + 2;
    at = end < 0 ? -1 : block.indexOf('="', start);
  }
  return labels as Record<L, string>;
}

function isEscaped(block: string, start: number, at: number): boolean {
  let backslashes = 0;
  for (let i = at - 1; i >= start && block[i] === '\\'; i--) backslashes++;
  return backslashes % 2 === 1;
}

function unescaped(_: string, character: string): string {
  return character === 'n' ? '\n' : character;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
