import { binary, type Expression, type Vector } from './expression.ts';

/** The labels that must be equal on both sides. */
interface On<L extends string> {
  readonly on: readonly L[];
}
/** Several series of the left side may match one of the right side, whose labels `L` they get. */
interface GroupLeft<L extends string> {
  readonly groupLeft: readonly L[];
}

export const on = <const N extends readonly string[]>(...names: N): On<N[number]> => ({ on: names });
export const groupLeft = <const N extends readonly string[]>(...names: N): GroupLeft<N[number]> => ({
  groupLeft: names,
});

/** Arithmetic between vectors with the same labels, or between a vector and a number. */
export function add<L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L> {
  return binary(a, '+', b);
}

interface ArithmeticOperator {
  <L extends string>(a: Vector<L>, b: Vector<L> | number): Vector<L>;
  <L extends string, R extends string, T extends R>(
    a: Vector<L>,
    matching: On<NoInfer<L> & NoInfer<R>>,
    group: GroupLeft<T>,
    b: Vector<R>,
  ): Vector<L | T>;
}

export const sub: ArithmeticOperator = arithmetic('-');
export const mul: ArithmeticOperator = arithmetic('*');
export const div: ArithmeticOperator = arithmetic('/');

type Arithmetic =
  | [a: Expression, b: Expression | number]
  | [a: Expression, matching: On<string>, group: GroupLeft<string>, b: Expression];

function arithmetic(operator: '-' | '*' | '/') {
  return (...operands: Arithmetic): Vector<string> => {
    if (operands.length === 2) return binary(operands[0], operator, operands[1]);
    const [a, matching, group, b] = operands;
    // Without its brackets, group_left would take those of the right side.
    return binary(a, operator, b, [textOf(matching), `group_left (${group.groupLeft.join(', ')})`]);
  };
}

type Comparison = '>' | '<' | '>=' | '<=' | '==' | '!=';

/** Series that satisfy the comparison, with their values. */
export function compare<L extends string>(
  a: Vector<L>,
  operator: Comparison,
  b: Vector<L> | number,
): Vector<L> {
  return binary(a, operator, b);
}

/** 1 for each series that satisfies the comparison, 0 for the others. */
export function isTrue<L extends string>(
  a: Vector<L>,
  operator: Comparison,
  b: Vector<L> | number,
): Vector<L> {
  return binary(a, operator, b, ['bool']);
}

/** Series of `a` with a matching series of `b`. */
export function and<L extends string, R extends string>(
  a: Vector<L>,
  matching: On<NoInfer<L> & NoInfer<R>>,
  b: Vector<R>,
): Vector<L> {
  return binary(a, 'and', b, [textOf(matching)]);
}

/** Series of `a` without a matching series of `b`. */
export function unless<L extends string, R extends string>(
  a: Vector<L>,
  matching: On<NoInfer<L> & NoInfer<R>>,
  b: Vector<R>,
): Vector<L> {
  return binary(a, 'unless', b, [textOf(matching)]);
}

/** `a`, plus the series of `b` without a matching series in `a`. */
export function or<L extends string>(a: Vector<L>, b: Vector<L>): Vector<L>;
export function or<L extends string, R extends string>(
  a: Vector<L>,
  matching: On<NoInfer<L> & NoInfer<R>>,
  b: Vector<R>,
): Vector<L & R>;
export function or(
  ...operands: [a: Expression, b: Expression] | [a: Expression, matching: On<string>, b: Expression]
): Vector<string> {
  if (operands.length === 2) return binary(operands[0], 'or', operands[1]);
  const [a, matching, b] = operands;
  return binary(a, 'or', b, [textOf(matching)]);
}

function textOf(matching: On<string>): string {
  return `on (${matching.on.join(', ')})`;
}
