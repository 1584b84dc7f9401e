import { recordingRules } from '../../alerts/recording.ts';
import { parsePromql, type Tree } from '../../testing/promql-tree.ts';

/** Powers of the base units of an expression. For buckets, also the unit of the histogram. */
export interface Dimension {
  readonly seconds: number;
  readonly bytes: number;
  readonly isRatio: boolean;
  readonly ofBuckets?: Dimension;
}

const NUMBER: Dimension = { seconds: 0, bytes: 0, isRatio: false };

function metric(name: string): Dimension {
  if (name === 'ALERTS_FOR_STATE') return { ...NUMBER, seconds: 1 };
  const rule = recordingRules[name];
  if (rule !== undefined) return dimensionOf(rule.expr.promql);
  const bucket = /^(.*)_bucket$/.exec(name)?.[1];
  if (bucket !== undefined) return { ...NUMBER, ofBuckets: metric(bucket) };
  const plain = name.replace(/_(total|sum)$/, '');
  if (plain.endsWith('_bytes_per_second')) return { ...NUMBER, seconds: -1, bytes: 1 };
  const { seconds, bytes } = {
    seconds: plain.endsWith('_seconds') ? 1 : plain.endsWith('_hertz') ? -1 : 0,
    bytes: plain.endsWith('_bytes') ? 1 : 0,
  };
  return { seconds, bytes, isRatio: plain.endsWith('_ratio') };
}

const AGGREGATIONS = new Set(['sum', 'min', 'max', 'avg', 'topk', 'group']);
const COUNTS = new Set(['count', 'count_values']);
/** Operators with a dimension of their own: the power of the right side. */
const POWERS: Readonly<Record<string, 1 | -1>> = { Mul: 1, Div: -1 };

export function dimensionOf(promql: string): Dimension {
  // Grafana's intervals are not PromQL.
  return ofTree(parsePromql(promql.replaceAll(/\$__\w+/g, '1m')));
}

function ofTree({ name, text, children }: Tree): Dimension {
  const [first, second, third] = children;
  const operands = children.filter(({ name: one }) => OPERANDS.has(one)).map(ofTree);
  const [left = NUMBER, right = NUMBER] = operands;
  switch (name) {
    case 'Identifier':
      return metric(text);
    case 'FunctionCall':
    case 'AggregateExpr': {
      const body = children.find((child) => child.name === 'FunctionCallBody');
      return called(textOf(first), (body?.children ?? []).map(ofTree));
    }
    case 'BinaryExpr': {
      const power = POWERS[second?.name ?? ''] ?? POWERS[third?.name ?? ''];
      return power === undefined ? left : combined(left, right, power);
    }
    case 'NumberDurationLiteral':
    case 'StringLiteral':
      return NUMBER;
    default:
      return first === undefined ? NUMBER : ofTree(first);
  }
}

const OPERANDS = new Set([
  'VectorSelector',
  'MatrixSelector',
  'SubqueryExpr',
  'OffsetExpr',
  'StepInvariantExpr',
  'FunctionCall',
  'AggregateExpr',
  'BinaryExpr',
  'NumberDurationLiteral',
]);

/** The text of the first leaf. */
function textOf(tree: Tree | undefined): string {
  if (tree === undefined) return '';
  return tree.children.length === 0 ? tree.text : textOf(tree.children[0]);
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
  return { ...a, seconds: a.seconds + sign * b.seconds, bytes: a.bytes + sign * b.bytes };
}

/** Units of Grafana in which a number of this dimension may be shown. */
export function unitsOf({ seconds, bytes, isRatio }: Dimension): readonly string[] {
  if (isRatio) return ['percentunit'];
  const units: Record<string, readonly string[]> = {
    '0,0': ['none', 'short', 'percentunit', 'suffix:cores', 'suffix:×'],
    '1,0': ['s', 'dateTimeFromNow'],
    '-1,0': ['hertz', 'eps', 'suffix:/min', 'iops'],
    '0,1': ['bytes'],
    '-1,1': ['Bps'],
  };
  return units[`${seconds},${bytes}`] ?? [];
}
