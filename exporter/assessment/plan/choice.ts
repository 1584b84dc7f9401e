import type { Holder } from '../../model/cpu-holders.ts';
import type { Draft } from './draft.ts';

/** The lower, the better; the first number that differs decides. */
export type Rank = readonly number[];

/**
 * The best CPU for a thread: one that its cgroup allows, that leaves no thread a CPU or core to share, and on
 * which the thread crosses no NUMA nodes. undefined if there is none.
 */
export function bestCpu(
  draft: Draft,
  holder: Holder,
  candidates: readonly number[],
  rank: (cpu: number) => Rank,
): number | undefined {
  let best: { readonly cpu: number; readonly rank: Rank } | undefined;
  for (const cpu of draft.within(holder, candidates)) {
    const ranked = rank(cpu);
    if (best !== undefined && !precedes(ranked, best.rank)) continue;
    if (!draft.isFree(holder, cpu) || draft.crossing(holder.thread, [cpu]) !== undefined) continue;
    best = { cpu, rank: ranked };
  }
  return best?.cpu;
}

function precedes(a: Rank, b: Rank): boolean {
  const differs = a.findIndex((value, i) => value !== b[i]);
  return differs >= 0 && (a[differs] ?? 0) < (b[differs] ?? 0);
}
