import type { NumaPages } from '../../probes/proc-numa-maps.ts';

/** Relative to the node with the most memory. A node with less holds only stray pages. */
const MAIN_SHARE = 0.5;

/**
 * The nodes that hold most of a VM's memory, ascending: all nodes of interleaved memory; empty without
 * memory.
 */
export function mainNodesOf(memory: NumaPages): number[] {
  const most = Math.max(0, ...memory.values());
  return [...memory]
    .filter(([, bytes]) => bytes > 0 && bytes >= most * MAIN_SHARE)
    .map(([node]) => node)
    .sort((a, b) => a - b);
}

/** The share of a VM's memory that is on the given nodes; undefined without memory. */
export function shareOn(memory: NumaPages, nodes: readonly number[]): number | undefined {
  let all = 0;
  let there = 0;
  for (const [node, bytes] of memory) {
    all += bytes;
    if (nodes.includes(node)) there += bytes;
  }
  return all === 0 ? undefined : there / all;
}
