import { isGone, type SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { type NumaPages, readNumaMaps } from '../../../probes/proc-numa-maps.ts';
import type { Vm } from '../../model/vm.ts';

/** The kernel walks the page tables to produce numa_maps, and memory rarely moves. */
const READ_AGAIN_MS = 600_000;
/** An operator who pins a VM often moves its memory too, which takes a while. */
const READ_AGAIN_APART_MS = 60_000;
const TIMEOUT_MS = 5_000;

interface Reading {
  readonly at: number;
  readonly pages: NumaPages | undefined;
}

/** The NUMA nodes of the VMs' memory. Read rarely, and one VM at a time. */
export class Memory {
  readonly #readings = new Map<string, Reading>();
  #failed: { readonly vm: string; readonly problem: SourceError } | undefined;
  #isReading = false;
  #calledAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly host: Host,
    private readonly now: () => number,
  ) {}

  /** undefined if it was not read yet or cannot be read: a kernel without NUMA has no such file. */
  of(vm: Vm): NumaPages | undefined {
    return this.#readings.get(vm.key)?.pages;
  }

  get problem(): SourceError | undefined {
    return this.#failed?.problem;
  }

  /**
   * Reads the memory of VMs that are due, at most one VM for each second since the last call.
   *
   * @param isApart whether the VM is pinned to other nodes than those of its memory
   */
  async readDue(vms: readonly Vm[], isApart?: (vm: Vm) => boolean): Promise<void> {
    const now = this.now();
    const seconds = Math.max(1, Math.round((now - this.#calledAt) / 1000));
    this.#calledAt = now;
    for (let i = 0; i < Math.min(seconds, vms.length); i++) await this.readNext(vms, isApart);
  }

  /** Reads the memory of the VM that is due for the longest time. */
  async readNext(vms: readonly Vm[], isApart: (vm: Vm) => boolean = () => false): Promise<void> {
    if (this.#isReading) return;
    this.#forget(vms);
    const now = this.now();
    const dueAt = (vm: Vm): number =>
      (this.#readings.get(vm.key)?.at ?? Number.NEGATIVE_INFINITY) +
      (isApart(vm) ? READ_AGAIN_APART_MS : READ_AGAIN_MS);
    const next = vms.reduce<Vm | undefined>(
      (first, vm) => (first === undefined || dueAt(vm) < dueAt(first) ? vm : first),
      undefined,
    );
    if (next === undefined || now < dueAt(next)) return;
    this.#isReading = true;
    let pages = this.of(next);
    try {
      pages = await readNumaMaps(this.host, next.pid, TIMEOUT_MS);
      if (this.#failed?.vm === next.key) this.#failed = undefined;
    } catch (error) {
      const path = `${this.host.roots.procfs}/${next.pid}/numa_maps`;
      if (!isGone(error)) this.#failed = { vm: next.key, problem: sourceError(error, path) };
    } finally {
      this.#isReading = false;
      this.#readings.set(next.key, { at: now, pages });
    }
  }

  #forget(vms: readonly Vm[]): void {
    if (!vms.some(({ key }) => key === this.#failed?.vm)) this.#failed = undefined;
    if (this.#readings.size <= vms.length) return;
    const alive = new Set(vms.map(({ key }) => key));
    for (const key of this.#readings.keys()) if (!alive.has(key)) this.#readings.delete(key);
  }
}
