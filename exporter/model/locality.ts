import { addTo, getOrInsert } from '../../kernel/maps.ts';
/** Number of kicks of one virtqueue by one vCPU in some period. */
export interface Kicks {
  readonly queue: string;
  readonly vcpu: string;
  readonly count: number;
}

export interface QueueLocality {
  /** The vCPU with the most kicks; the first one if several have the same number. */
  readonly vcpu: string;
  /** Its share of the queue's kicks: above 0, at most 1. */
  readonly share: number;
  readonly kicks: number;
}

export interface Locality {
  /** Mean of the shares, weighted by the queues' kicks; undefined without kicks. */
  readonly share: number | undefined;
  /** By queue. A queue without kicks has no entry. */
  readonly queues: ReadonlyMap<string, QueueLocality>;
}

/** The degree to which each virtqueue belongs to one vCPU: 1 with pinned queues, 1/n if n vCPUs take turns. */
export function localityOf(kicks: readonly Kicks[]): Locality {
  const byQueue = new Map<string, Map<string, number>>();
  for (const { queue, vcpu, count } of kicks) {
    addTo(
      getOrInsert(byQueue, queue, () => new Map<string, number>()),
      vcpu,
      count,
    );
  }
  const queues = new Map<string, QueueLocality>();
  let all = 0;
  let own = 0;
  for (const [queue, counts] of byQueue) {
    let top: readonly [string, number] = ['', 0];
    let sum = 0;
    for (const entry of counts) {
      sum += entry[1];
      if (entry[1] > top[1]) top = entry;
    }
    if (sum === 0) continue;
    queues.set(queue, { vcpu: top[0], share: top[1] / sum, kicks: sum });
    all += sum;
    own += top[1];
  }
  return { share: all === 0 ? undefined : own / all, queues };
}

/**
 * How evenly a device's virtqueues are used. Unused queues count.
 *
 * @param counts of the queues that were used
 * @param queues number of queues of the device; undefined if unknown
 * @returns undefined if there are more counts than queues, as not all of them are request queues
 */
export function queueFairness(counts: readonly number[], queues: number | undefined): number | undefined {
  if (queues === undefined || counts.length > queues) return undefined;
  return jainIndex([...counts, ...Array.from({ length: queues - counts.length }, () => 0)]);
}

/**
 * Jain's fairness index: 1 if all counts are equal, 1/n if one queue has all; undefined if all counts are 0.
 *
 * @see https://arxiv.org/abs/cs/9809099
 */
export function jainIndex(counts: readonly number[]): number | undefined {
  // Scale by the largest count, so that squares of large counts stay precise and cannot overflow.
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  if (most === 0) return undefined;
  let sum = 0;
  let squares = 0;
  for (const count of counts) {
    sum += count / most;
    squares += (count / most) ** 2;
  }
  return (sum * sum) / (counts.length * squares);
}
