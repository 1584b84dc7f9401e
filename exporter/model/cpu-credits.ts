import { addTo, getOrInsert } from '../../kernel/maps.ts';

interface Reading {
  readonly owners: ReadonlySet<string>;
  readonly counts: ReadonlyMap<string, number>;
}

/**
 * Credits the growth of a CPU's counters to the owners that use the CPU. Each owner that used it at both readings
 * gets all of the growth, because the counters do not distinguish owners.
 */
export class CpuCredits {
  #readings = new Map<number, Reading>();
  readonly #sums = new Map<string, Map<string, number>>();

  /** @param counts counters of the CPU since boot. One that falls gives nothing until it grows again */
  take(cpu: number, owners: ReadonlySet<string>, counts: ReadonlyMap<string, number>): void {
    const before = this.#readings.get(cpu);
    this.#readings.set(cpu, { owners, counts });
    for (const owner of owners) {
      const sums = getOrInsert(this.#sums, owner, () => new Map<string, number>());
      for (const [name, count] of counts) {
        const last = before?.owners.has(owner) === true ? before.counts.get(name) : undefined;
        addTo(sums, name, last === undefined ? 0 : Math.max(0, count - last));
      }
    }
  }

  of(owner: string): ReadonlyMap<string, number> {
    return this.#sums.get(owner) ?? new Map();
  }

  /** Forgets owners that ended, and CPUs without an owner. Their growth is not credited. */
  keep(owners: ReadonlySet<string>, cpus: ReadonlySet<number>): void {
    for (const owner of this.#sums.keys()) if (!owners.has(owner)) this.#sums.delete(owner);
    for (const cpu of this.#readings.keys()) if (!cpus.has(cpu)) this.#readings.delete(cpu);
  }
}
