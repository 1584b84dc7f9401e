/** An operator and a quoted value: `equal('kick')`, `regexp('$vm')`. */
export type Matcher = `${'=' | '!=' | '=~' | '!~'}"${string}"`;
export type Matchers<L extends string> = { readonly [K in L]?: Matcher };

export const equal = (value: string): Matcher => `="${escapeString(value)}"`;
export const notEqual = (value: string): Matcher => `!="${escapeString(value)}"`;
/** Prometheus anchors regular expressions. */
export const regexp = (regex: string): Matcher => `=~"${escapeString(regex)}"`;
export const notRegexp = (regex: string): Matcher => `!~"${escapeString(regex)}"`;

export function escapeString(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}
