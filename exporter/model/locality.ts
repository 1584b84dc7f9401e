/** How often one vCPU kicked one virtqueue in some time. */
export interface Kicks {
  readonly queue: string;
  readonly vcpu: string;
  readonly count: number;
}

export interface QueueLocality {
  /** The vCPU that kicks most; the first of equals. */
  readonly vcpu: string;
  /** Its share of the queue's kicks, above 0 to 1. */
  readonly share: number;
  readonly kicks: number;
}

export interface Locality {
  /** The mean of the shares, each queue with the weight of its kicks; undefined where there were none. */
  readonly share: number | undefined;
  /** By queue; a queue without kicks has none. */
  readonly queues: ReadonlyMap<string, QueueLocality>;
}

/** Whether each virtqueue is one vCPU's own: 1 with queues that are pinned, 1/n with n vCPUs that take turns. */
export function localityOf(kicks: readonly Kicks[]): Locality {
  const byQueue = new Map<string, Map<string, number>>();
  for (const { queue, vcpu, count } of kicks) {
    const counts = byQueue.get(queue) ?? new Map<string, number>();
    byQueue.set(queue, counts);
    counts.set(vcpu, (counts.get(vcpu) ?? 0) + count);
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
 * How evenly a device's virtqueues are used: queues that were never used count.
 *
 * @param counts of the queues that were
 * @param queues how many the device has; undefined where nobody says
 * @returns undefined where it has more than it should, which are not all for requests
 */
export function queueFairness(counts: readonly number[], queues: number | undefined): number | undefined {
  if (queues === undefined || counts.length > queues) return undefined;
  return jainIndex([...counts, ...Array.from({ length: queues - counts.length }, () => 0)]);
}

/**
 * Jain's index of fairness: 1 where all have the same, 1/n where one has all; undefined where nobody has anything.
 *
 * @see https://arxiv.org/abs/cs/9809099
 */
export function jainIndex(counts: readonly number[]): number | undefined {
  // Against the greatest, so that squares of large counts lose nothing and cannot overflow.
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
