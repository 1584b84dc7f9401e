import { groupBy } from '../../kernel/maps.ts';
import type { Selector } from './archive.ts';
import { type Part, partsOf, type Term } from './terms.ts';

/** The reading of one metric for all terms together. */
export interface Reading {
  readonly metric: Part['metric'];
  readonly kind: 'growth' | 'level';
  readonly unite: Part['unite'];
  /** Labels that distinguish columns. */
  readonly by: readonly string[];
  /** Values of labels to which every part is limited. */
  readonly only: Selector['labels'];
}

/** One reading for each metric of the terms. */
export function readingsOf(terms: readonly Term[]): Reading[] {
  return [...groupBy(partsOf(terms), ({ metric }) => metric)].map(([metric, parts]) => {
    const by = new Set(parts.flatMap(({ labels }) => Object.keys(labels)));
    if (metric.endsWith('_bucket')) by.add('le');
    const shared = [...by].filter((label) => parts.every(({ labels }) => labels[label] !== undefined));
    const only = shared.map((label) => [
      label,
      [...new Set(parts.flatMap(({ labels }) => labels[label] ?? []))],
    ]);
    return {
      metric,
      kind: parts.some(({ kind }) => kind === 'growth') ? 'growth' : 'level',
      unite: parts[0]?.unite ?? 'sum',
      by: [...by],
      only: Object.fromEntries(only),
    };
  });
}
