import { USER_HZ } from '../../kernel/units.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import type { Owner } from './tally.ts';

/** Maps thread ids to VMs. Each incarnation of a thread has one Owner object for as long as its VM lives. */
export class Owners {
  readonly #byTid = new Map<number, { readonly thread: VmThread; readonly owner: Owner }>();

  /** A thread stays in the map after it has ended: the kernel's maps still hold its last counts. */
  update(vms: readonly Vm[], threadsOf: (vm: Vm) => Iterable<VmThread>): void {
    const alive = new Set<string>();
    for (const vm of vms) {
      alive.add(vm.key);
      for (const thread of threadsOf(vm)) {
        const known = this.#byTid.get(thread.tid);
        if (known?.thread === thread && known.owner.vm === vm.key) continue;
        const owner = { vm: vm.key, thread: thread.label, startTime: thread.startTime / USER_HZ };
        this.#byTid.set(thread.tid, { thread, owner });
      }
    }
    for (const [tid, { owner }] of this.#byTid) if (!alive.has(owner.vm)) this.#byTid.delete(tid);
  }

  of(tid: number): Owner | undefined {
    return this.#byTid.get(tid)?.owner;
  }
}
