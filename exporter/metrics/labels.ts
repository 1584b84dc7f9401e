import { cleanLabelText } from './label-text.ts';

declare const labelNames: unique symbol;

/**
 * Labels as written between the braces, escaped: `vm="web",thread="vcpu0"`. Formatted once per VM or thread
 * and reused in every scrape. `L` is the union of the label names, so that a metric accepts only the labels
 * it declares.
 */
export type LabelBlock<L extends string> = string & { readonly [labelNames]: (name: L) => L };

/** @param names in the metric's order, as are the `values` */
export function labelBlock<const N extends readonly string[]>(
  names: N,
  values: { readonly [I in keyof N]: string },
): LabelBlock<N[number]> {
  return names.map((name, i) => `${name}="${escapeLabel(values[i] ?? '')}"`).join(',') as LabelBlock<
    N[number]
  >;
}

/** Appends one label. */
export function withLabel<L extends string, const N extends string>(
  block: LabelBlock<L>,
  name: N,
  value: string,
): LabelBlock<L | N> {
  // join() creates a flat string. V8 would keep a template literal as a tree and traverse it in every scrape.
  return [block, ',', name, '="', escapeLabel(value), '"'].join('') as LabelBlock<L | N>;
}

/** Matches nearly all values. They need no cleaning and no escaping. */
const PLAIN = /^[ !#-[\]-~]*$/;

/**
 * Cleans and escapes a label value for the exposition formats. Names that must stay distinct were made
 * distinct before: see `fitName`.
 */
function escapeLabel(value: string): string {
  if (PLAIN.test(value)) return value;
  return cleanLabelText(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
