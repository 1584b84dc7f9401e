/** Binary operators by precedence (prometheus.io/docs/prometheus/latest/querying/operators). */
const PRECEDENCE = {
  or: 1,
  and: 2,
  unless: 2,
  '==': 3,
  '!=': 3,
  '<': 3,
  '>': 3,
  '<=': 3,
  '>=': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
} as const;
/** Selectors, calls and aggregations never need brackets. */
const PRIMARY = 6;

type Operator = keyof typeof PRECEDENCE;

declare const labels: unique symbol;

/** PromQL text, with the precedence of its outermost operator. */
export interface Expression {
  readonly promql: string;
  readonly precedence: number;
}

/**
 * A PromQL instant vector whose series have the labels `L`. Names that are not in the catalogue do not
 * compile.
 */
export interface Vector<L extends string> extends Expression {
  readonly [labels]?: (label: L) => L;
}

/** A PromQL range vector: the operand of the `..._over_time` functions. */
export interface RangeVector<L extends string> {
  readonly range: string;
  readonly [labels]?: (label: L) => L;
}

/** A selector, a call or an aggregation. */
export function primary<L extends string>(promql: string): Vector<L> {
  return { promql, precedence: PRIMARY };
}

/** Writes brackets around an operand only if PromQL would otherwise bind it to another operator. */
export function binary<L extends string>(
  a: Expression,
  operator: Operator,
  b: Expression | number,
  modifiers: readonly string[] = [],
): Vector<L> {
  const precedence = PRECEDENCE[operator];
  const left = bracketed(a, precedence);
  // Operators of the same precedence associate to the left.
  const right = typeof b === 'number' ? String(b) : bracketed(b, precedence + 1);
  return { promql: [left, operator, ...modifiers, right].join(' '), precedence };
}

/** The operand of a subquery. */
export function asPrimary(of: Expression): string {
  return bracketed(of, PRIMARY);
}

function bracketed({ promql, precedence }: Expression, atLeast: number): string {
  return precedence < atLeast ? `(${promql})` : promql;
}
