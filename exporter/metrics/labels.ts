import { cleanLabelText } from './label-text.ts';

declare const labelNames: unique symbol;

/**
 * Labels as they are written between the braces, escaped: `vm="web",thread="vcpu0"`. Made once for a VM or a thread and
 * used in every scrape. `L` is the union of its label names, so that a metric takes only the labels it declares.
 */
export type LabelBlock<L extends string> = string & { readonly [labelNames]: (name: L) => L };

/** @param names in the metric's order; `values` likewise */
export function labelBlock<const N extends readonly string[]>(
  names: N,
  values: { readonly [I in keyof N]: string },
): LabelBlock<N[number]> {
  return names.map((name, i) => `${name}="${escapeLabel(values[i] ?? '')}"`).join(',') as LabelBlock<
    N[number]
  >;
}

/** Adds one more label at the end. */
export function withLabel<L extends string, const N extends string>(
  block: LabelBlock<L>,
  name: N,
  value: string,
): LabelBlock<L | N> {
  // join() makes a flat string; V8 would keep a template as a tree and walk it in every scrape.
  return [block, ',', name, '="', escapeLabel(value), '"'].join('') as LabelBlock<L | N>;
}

/** Nearly all values: nothing to clean and nothing to escape. */
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * Cleans a label value, whoever gave it, and escapes it as the exposition formats ask. Names that must stay different
 * were made so before: see `fitName`.
 */
function escapeLabel(value: string): string {
  if (PLAIN.test(value)) return value;
  return cleanLabelText(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
