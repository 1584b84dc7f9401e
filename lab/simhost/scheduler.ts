import type { Random } from './random.ts';
import type { SimThread } from './thread.ts';

/**
 * Assigns a CPU to each thread for one step. Pinned threads get their CPU; others stay or move to the least
 * loaded CPU of their affinity mask. Threads on the same CPU share it.
 */
export function schedule(threads: readonly SimThread[], cpus: number, random: Random): Float64Array {
  const load = new Float64Array(cpus);
  const roaming: SimThread[] = [];
  for (const thread of threads) {
    if (thread.allowed.length > 1) roaming.push(thread);
    else settle(thread, thread.allowed[0] ?? 0, load);
  }
  for (const thread of roaming.sort((a, b) => b.demand - a.demand)) {
    const moves = thread.migrations.add(thread.restless);
    const mayStay = thread.allowed.includes(thread.cpu);
    const isCrowded = (load[thread.cpu] ?? 0) + thread.demand > 1 && thread.demand > 0.02;
    if (mayStay && moves === 0 && !isCrowded) {
      load[thread.cpu] = (load[thread.cpu] ?? 0) + thread.demand;
      continue;
    }
    const target = leastLoaded(thread.allowed, load, random);
    if (moves === 0 && target !== thread.cpu) thread.migrations.add(1);
    thread.cpu = target;
    load[target] = (load[target] ?? 0) + thread.demand;
  }
  for (const thread of threads) thread.speed = Math.min(1, 1 / Math.max(1, load[thread.cpu] ?? 0));
  return load;
}

function settle(thread: SimThread, cpu: number, load: Float64Array): void {
  if (thread.cpu !== cpu) thread.migrations.add(1);
  thread.cpu = cpu;
  load[cpu] = (load[cpu] ?? 0) + thread.demand;
}

/** The first CPU with the least load, counted from a random place. */
function leastLoaded(allowed: readonly number[], load: Float64Array, random: Random): number {
  const from = random.below(allowed.length);
  let best = allowed[from] ?? 0;
  for (let i = 1; i < allowed.length; i++) {
    const cpu = allowed[(from + i) % allowed.length] ?? 0;
    if ((load[cpu] ?? 0) < (load[best] ?? 0) - 0.01) best = cpu;
  }
  return best;
}
