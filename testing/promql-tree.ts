import { parser } from '@prometheus-io/lezer-promql';

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

/** A node of PromQL's grammar. */
export interface Tree {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Tree[];
}

/** Modifiers that follow a selector or a subquery. */
const POSTFIX = new Set(['OffsetExpr', 'StepInvariantExpr', 'SubqueryExpr']);

/**
 * Parses PromQL with the parser of Prometheus' own UI. Brackets are not part of the tree: they only decide
 * which tree it is.
 * @throws Error if it is not PromQL
 */
export function parsePromql(promql: string): Tree {
  return withoutBrackets(treeOf(parser.parse(promql).topNode, promql));
}

function treeOf(node: SyntaxNode, promql: string): Tree {
  if (node.type.isError) throw new Error(`not PromQL at ${node.from}: ${promql}`);
  const children: Tree[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    children.push(treeOf(child, promql));
  const text = children.length === 0 ? promql.slice(node.from, node.to) : '';
  return bindPostfix({ name: node.name, text, children });
}

/** This parser applies the modifier in `a + b offset 5m` to the sum, Prometheus to `b`. */
function bindPostfix(tree: Tree): Tree {
  const [operand, ...modifier] = tree.children;
  if (!POSTFIX.has(tree.name) || operand?.name !== 'BinaryExpr') return tree;
  const right = operand.children.at(-1);
  if (right === undefined) return tree;
  const modified = bindPostfix({ ...tree, children: [right, ...modifier] });
  return { ...operand, children: [...operand.children.slice(0, -1), modified] };
}

function withoutBrackets(tree: Tree): Tree {
  const [inside] = tree.children;
  if (tree.name === 'ParenExpr' && inside !== undefined) return withoutBrackets(inside);
  return { ...tree, children: tree.children.map(withoutBrackets) };
}

/** Where the brackets around operands are, without those of calls and label lists. */
export function bracketsOf(promql: string): { readonly from: number; readonly to: number }[] {
  const found: { from: number; to: number }[] = [];
  parser.parse(promql).iterate({
    enter: ({ name, from, to }) => {
      if (name === 'ParenExpr') found.push({ from, to });
    },
  });
  return found;
}
