import { getOrInsert, groupBy } from '../../../kernel/maps.ts';
import type { Row } from './rows.ts';

interface Reason {
  weight: number;
  passed: number;
  /** Exits so far. */
  total: number;
}

interface Thread {
  /** KVM's own count of the vCPU's exits at the last reading; undefined before the first. */
  exits: number | undefined;
  readonly reasons: Map<number, Reason>;
}

/**
 * Exits by thread and reason from a sample. KVM counts the exits of each vCPU itself, so the sample only needs to give the
 * shares: the reasons of a vCPU grow by exactly as much as KVM's counter. If every exit is in the sample, exits count as they are.
 */
export class SampledExits {
  readonly #threads = new Map<number, Thread>();

  /**
   * @param rows of the map `exit_counts`
   * @param isSample whether the program did not run all the time
   * @returns the same rows with exits so far as weights; they never fall
   */
  take(rows: readonly Row[], isSample = false): Row[] {
    const result: Row[] = [];
    for (const [tid, own] of groupBy(rows, (row) => row.tid)) {
      const thread = getOrInsert(this.#threads, tid, () => ({ exits: undefined, reasons: new Map() }));
      result.push(...take(thread, own, isSample));
    }
    return result;
  }

  /** Call when the map was emptied: it counts from zero again. @param isAlive forgets other threads */
  restart(isAlive: (tid: number) => boolean): void {
    for (const [tid, { reasons }] of this.#threads) {
      reasons.clear();
      if (!isAlive(tid)) this.#threads.delete(tid);
    }
  }
}

function take(thread: Thread, rows: readonly Row[], isKnownSample: boolean): Row[] {
  let passed = 0;
  let exits: number | undefined;
  const reasons = rows.map(({ fields: [number = 0] }) =>
    getOrInsert(thread.reasons, number, () => ({ weight: 0, passed: 0, total: 0 })),
  );
  const grown = rows.map(({ weight, more: [looked = 0, own = 0] }, i) => {
    const reason = reasons[i];
    const growth = Math.max(0, weight - (reason?.weight ?? 0));
    if (reason === undefined || growth === 0) return 0;
    passed += Math.max(0, looked - reason.passed);
    exits = Math.max(exits ?? 0, own);
    reason.weight = weight;
    reason.passed = looked;
    return growth;
  });
  const before = thread.exits;
  // A new thread with this id has fewer exits than the one before.
  thread.exits = exits ?? before;
  const sum = grown.reduce((total, each) => total + each, 0);
  const isSample = isKnownSample || sum !== passed;
  const counted =
    isSample && before !== undefined && exits !== undefined && exits >= before
      ? apportion(grown, exits - before)
      : grown;
  return rows.map((row, i) => {
    const reason = reasons[i];
    if (reason === undefined) return row;
    reason.total += counted[i] ?? 0;
    return { ...row, weight: reason.total };
  });
}

/**
 * Divides a whole number in the proportion of weights, into whole numbers that add up to it. Each differs from its exact share by
 * less than one.
 */
export function apportion(weights: readonly number[], total: number): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  if (sum === 0) return weights.map(() => 0);
  let weight = 0;
  let given = 0;
  return weights.map((each) => {
    weight += each;
    const upToHere = Math.round((weight / sum) * total);
    const share = upToHere - given;
    given = upToHere;
    return share;
  });
}
