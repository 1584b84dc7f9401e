type Counts = ReadonlyMap<string, number>;

/** Counts of earlier perf processes, from before the settings changed. Keeps the sums from falling. */
export class PerfTotals {
  #earlier: ReadonlyMap<string, Counts> = new Map();

  /** Counts of a VM, earlier ones included. @param now those of the running processes */
  of(vm: string, now: Counts | undefined): Counts | undefined {
    const earlier = this.#earlier.get(vm);
    if (earlier === undefined || now === undefined) return now;
    return new Map([...now].map(([name, count]) => [name, count + (earlier.get(name) ?? 0)]));
  }

  /** Adds the last counts of processes that have ended. VMs that are not listed are forgotten. */
  keep(vms: Iterable<string>, last: (vm: string) => Counts | undefined): void {
    const totals = new Map<string, Counts>();
    for (const vm of vms) {
      const total = this.of(vm, last(vm)) ?? this.#earlier.get(vm);
      if (total !== undefined) totals.set(vm, total);
    }
    this.#earlier = totals;
  }
}
