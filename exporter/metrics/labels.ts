import { cleanLabelText } from './label-text.ts';

declare const labelNames: unique symbol;

/**
 * Labels as written between the braces, escaped: `vm="web",thread="vcpu0"`. Formatted once per VM or thread
 * and reused in every scrape. `L` is the union of the label names, so that a metric accepts only the labels
 * it declares.
 */
export type LabelBlock<L extends string> = string & { readonly [labelNames]: (name: L) => L };

export type LabelValue = string | number | boolean | undefined;

/** @param labels in the metric's order; undefined is written as an empty value */
export function labelBlock<L extends string>(labels: Readonly<Record<L, LabelValue>>): LabelBlock<L> {
  return Object.entries<LabelValue>(labels)
    .map(([name, value]) => labelText(name, value))
    .join(',') as LabelBlock<L>;
}

/** One label as written between the braces. */
export function labelText(name: string, value: LabelValue): string {
  return `${name}="${escapeLabel(String(value ?? ''))}"`;
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
 * Cleans and escapes a label value for the exposition formats. The caller keeps distinct names distinct: see
 * `truncateName`.
 */
function escapeLabel(value: string): string {
  if (PLAIN.test(value)) return value;
  return cleanLabelText(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

/** Labels by name, from a block. */
export function parseLabels<L extends string>(block: string): Record<L, string> {
  const labels: Record<string, string> = {};
  let start = 0;
  for (let at = block.indexOf('="'); at >= 0; at = block.indexOf('="', start)) {
    const end = valueEnd(block, at + 2);
    const value = block.slice(at + 2, end);
    labels[block.slice(start, at)] = value.includes('\\') ? value.replace(/\\(.)/g, '$1') : value;
    // A comma follows the quote.
    start = end + 2;
  }
  return labels as Record<L, string>;
}

/** Position of the quote that ends the label value that begins at `from`. */
export function valueEnd(block: string, from: number): number {
  let end = block.indexOf('"', from);
  while (end >= 0 && isEscaped(block, from, end)) end = block.indexOf('"', end + 1);
  return end < 0 ? block.length : end;
}

function isEscaped(block: string, from: number, at: number): boolean {
  let backslashes = 0;
  while (at - 1 - backslashes >= from && block[at - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}
