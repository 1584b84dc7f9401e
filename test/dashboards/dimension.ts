import { recordingRules } from '../../alerts/recording.ts';

/** Powers of the base units of an expression; a histogram's buckets also know what they are buckets of. */
export interface Dimension {
  readonly seconds: number;
  readonly bytes: number;
  readonly isRatio: boolean;
  readonly ofBuckets?: Dimension;
}

const NUMBER: Dimension = { seconds: 0, bytes: 0, isRatio: false };

function metric(name: string): Dimension {
  const rule = recordingRules[name];
  if (rule !== undefined) return dimensionOf(rule.expr);
  const bucket = /^(.*)_bucket$/.exec(name)?.[1];
  if (bucket !== undefined) return { ...NUMBER, ofBuckets: metric(bucket) };
  const plain = name.replace(/_(total|sum)$/, '');
  const { seconds, bytes } = {
    seconds: plain.endsWith('_seconds') ? 1 : 0,
    bytes: plain.endsWith('_bytes') ? 1 : 0,
  };
  return { seconds, bytes, isRatio: plain.endsWith('_ratio') };
}

const TOKEN =
  /\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_:]*|\d[\w.e+-]*|>=|<=|==|!=|=~|!~|[-+*/(){}[\],=<>@$:]|\S)/y;
const AGGREGATIONS = new Set(['sum', 'min', 'max', 'avg', 'topk', 'group']);
const COUNTS = new Set(['count', 'count_values']);
const BINARY = new Set(['+', '-', '*', '/', '>', '<', '>=', '<=', '==', '!=', 'and', 'or', 'unless']);

/** Of PromQL as the typed builder writes it: each operand of an operator is in brackets, or a number. */
export function dimensionOf(promql: string): Dimension {
  const tokens = tokenize(promql);
  let at = 0;
  const peek = (): string => tokens[at] ?? '';
  const take = (expected?: string): string => {
    const token = tokens[at++] ?? '';
    if (expected !== undefined && token !== expected)
      throw new Error(`${token} is no ${expected} in ${promql}`);
    return token;
  };
  const skipGroup = (open: string, close: string): void => {
    take(open);
    for (let depth = 1; depth > 0; ) {
      const token = take();
      if (token === '') throw new Error(`no ${close} in ${promql}`);
      if (token === open) depth++;
      if (token === close) depth--;
    }
  };

  function expression(): Dimension {
    let left = operand();
    while (BINARY.has(peek())) {
      const operator = take();
      while (['on', 'group_left', 'by'].includes(peek())) {
        take();
        skipGroup('(', ')');
      }
      const right = operand();
      if (operator === '*') left = combined(left, right, 1);
      if (operator === '/') left = combined(left, right, -1);
    }
    return left;
  }

  function operand(): Dimension {
    const dimension = primary();
    for (;;) {
      if (peek() === '[') skipGroup('[', ']');
      else if (peek() === 'offset') {
        take();
        // A duration may be a variable of Grafana, or negative.
        while (!['', ')', ',', '[', ...BINARY].includes(peek()) || peek() === '-') take();
      } else if (peek() === '@') {
        take();
        take('end');
        skipGroup('(', ')');
      } else return dimension;
    }
  }

  function primary(): Dimension {
    const token = take();
    if (token === '(') {
      const inside = expression();
      take(')');
      return inside;
    }
    if (/^\d/.test(token) || token.startsWith('"')) return NUMBER;
    if (peek() === 'by') {
      take();
      skipGroup('(', ')');
    }
    if (peek() !== '(') {
      if (peek() === '{') skipGroup('{', '}');
      return metric(token);
    }
    take('(');
    const found: Dimension[] = [];
    while (peek() !== ')') {
      found.push(expression());
      if (peek() === ',') take();
    }
    take(')');
    return called(token, found);
  }

  const whole = expression();
  if (at !== tokens.length) throw new Error(`${peek()} was not expected in ${promql}`);
  return whole;
}

function called(name: string, found: readonly Dimension[]): Dimension {
  const [first = NUMBER] = found;
  const last = found.at(-1) ?? NUMBER;
  if (name === 'rate') return { ...first, seconds: first.seconds - 1, isRatio: false };
  if (name === 'histogram_quantile') return last.ofBuckets ?? NUMBER;
  if (name === 'timestamp') return { ...NUMBER, seconds: 1 };
  if (name === 'vector' || name === 'count_over_time' || COUNTS.has(name)) return NUMBER;
  if (AGGREGATIONS.has(name) || name === 'quantile_over_time') return last;
  if (
    name.endsWith('_over_time') ||
    ['label_replace', 'clamp_min', 'sort', 'sort_desc', 'increase'].includes(name)
  ) {
    return first;
  }
  throw new Error(`no function ${name} is known`);
}

function combined(a: Dimension, b: Dimension, sign: 1 | -1): Dimension {
  return { seconds: a.seconds + sign * b.seconds, bytes: a.bytes + sign * b.bytes, isRatio: a.isRatio };
}

function tokenize(promql: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(promql); match !== null; match = TOKEN.exec(promql))
    tokens.push(match[1] ?? '');
  return tokens;
}

/** Units of Grafana in which a number of this dimension may be shown. */
export function unitsOf({ seconds, bytes, isRatio }: Dimension): readonly string[] {
  if (isRatio) return ['percentunit'];
  const units: Record<string, readonly string[]> = {
    '0,0': ['none', 'short', 'percentunit', 'suffix:cores', 'suffix:×'],
    '1,0': ['s', 'dateTimeFromNow'],
    '-1,0': ['cps', 'ops', 'iops'],
    '0,1': ['bytes'],
    '-1,1': ['Bps'],
  };
  return units[`${seconds},${bytes}`] ?? [];
}
