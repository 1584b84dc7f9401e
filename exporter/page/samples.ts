import type { HistogramName, LabelsOf, MetricName } from '../metrics/catalogue.ts';
import type { Family } from '../metrics/families.ts';
import { labelBlock, parseLabels } from '../metrics/labels.ts';

/** Families of one collection, by name. */
export type FamilyIndex = ReadonlyMap<string, Family>;

/** A metric of the catalogue. If it is renamed, uses of the old name do not compile. */
export type SeriesName = MetricName | HistogramName;

export interface Sample<M extends SeriesName> {
  /** Labels by name. A histogram's bucket also has `le`. */
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
    if (only === undefined || value === only) yield { labels: parseLabels(block), value };
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
  for (const { block, value } of rowsOfVm(index.get(name), vm)) yield { labels: parseLabels(block), value };
}

/** Buckets, sum and count of one VM's histograms. */
export function* histogramOfVm<M extends HistogramName>(
  index: FamilyIndex,
  name: M,
  vm: string,
): Generator<HistogramPart<M>> {
  for (const { block, value, suffix } of rowsOfVm(index.get(name), vm)) {
    const labels = parseLabels<LabelsOf<M> | 'le'>(block);
    yield { labels, value, suffix, le: suffix === '_bucket' ? labels.le : undefined };
  }
}

function* rowsOfVm(
  family: Family | undefined,
  vm: string,
): Generator<{ block: string; value: number; suffix: string }> {
  if (family === undefined) return;
  const prefix = labelBlock({ vm });
  for (const [i, block] of family.labels.entries()) {
    if (!block.startsWith(prefix)) continue;
    yield { block, value: family.values[i] ?? 0, suffix: family.suffixes[i] ?? '' };
  }
}
