import type { Fields } from './sink.ts';

/** Returns whether the trigger counts the event. */
export type Filter = (fields: Fields) => boolean;

const TOKEN = /\s*(\|\||&&|[<>=!]=|[()<>&!]|[\w.-]+)/y;
type Compare = (left: number, right: number) => boolean;
const COMPARISONS: Readonly<Record<string, Compare>> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '&': (a, b) => (BigInt(a) & BigInt(b)) !== 0n,
};

/**
 * `field op number` with `&&`, `||`, `!` and parentheses, as in kernel/trace/trace_events_filter.c.
 * @returns undefined if the text is not a filter
 * @see https://docs.kernel.org/trace/events.html#event-filtering
 * @example parseFilter('rw == 1 && port & 16')?.({ rw: 1, port: 0x1010 }) // true
 */
export function parseFilter(text: string): Filter | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  let at = 0;
  const take = (token: string): boolean => {
    if (tokens[at] !== token) return false;
    at++;
    return true;
  };
  const either = (): Filter => {
    let left = both();
    while (take('||')) left = or(left, both());
    return left;
  };
  const both = (): Filter => {
    let left = one();
    while (take('&&')) left = and(left, one());
    return left;
  };
  const one = (): Filter => {
    if (take('!')) {
      const inner = one();
      return (fields) => !inner(fields);
    }
    if (take('(')) {
      const inner = either();
      if (!take(')')) throw new SyntaxError(text);
      return inner;
    }
    const field = tokens[at++] ?? '';
    const compare = COMPARISONS[tokens[at++] ?? ''];
    const value = Number(tokens[at++] ?? Number.NaN);
    if (compare === undefined || Number.isNaN(value) || !/^[a-z_]\w*$/i.test(field))
      throw new SyntaxError(text);
    return (fields) => compare(fields[field] ?? 0, value);
  };
  try {
    const filter = either();
    return at === tokens.length ? filter : undefined;
  } catch {
    return undefined;
  }
}

function and(left: Filter, right: Filter): Filter {
  return (fields) => left(fields) && right(fields);
}

function or(left: Filter, right: Filter): Filter {
  return (fields) => left(fields) || right(fields);
}

function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return undefined;
    tokens.push(token);
  }
  return tokens;
}
