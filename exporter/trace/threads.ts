import { USER_HZ } from '../../kernel/units.ts';
import { SAMPLED_ROLES } from '../model/roles.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import type { PerfTarget } from './perf-counters.ts';
import type { Owner } from './tally.ts';

/** The VMs and their threads, as the inventory has them. */
export interface Traced {
  readonly vms: readonly Vm[];
  threadsOf(vm: Vm): Iterable<VmThread>;
}

/** The threads of the traced VMs. Each incarnation of a thread has one Owner object while its VM lives. */
export class TracedThreads {
  readonly #byTid = new Map<number, { readonly thread: VmThread; readonly owner: Owner }>();

  /** Of the VMs at the last update. */
  #keys: readonly string[] = [];

  constructor(private readonly traced: Traced) {}

  /** Adds new threads and VMs. A thread that ended stays: the kernel's maps still hold its last counts. */
  update(): void {
    const { vms } = this.traced;
    for (const vm of vms) {
      for (const thread of this.traced.threadsOf(vm)) {
        const known = this.#byTid.get(thread.tid);
        if (known?.thread === thread && known.owner.vm === vm.key) continue;
        const owner = { vm: vm.key, thread: thread.label, startTime: thread.startTime / USER_HZ };
        this.#byTid.set(thread.tid, { thread, owner });
      }
    }
    this.#forgetEnded(vms.map(({ key }) => key));
  }

  #forgetEnded(keys: readonly string[]): void {
    if (keys.length === this.#keys.length && keys.every((key, i) => key === this.#keys[i])) return;
    this.#keys = keys;
    const alive = new Set(keys);
    for (const [tid, { owner }] of this.#byTid) if (!alive.has(owner.vm)) this.#byTid.delete(tid);
  }

  /** The owner of a thread id; undefined if no traced VM has a thread with this id. */
  readonly ownerOf = (tid: number): Owner | undefined => this.#byTid.get(tid)?.owner;

  /** Keys of the VMs. */
  get vms(): ReadonlySet<string> {
    return new Set(this.traced.vms.map(({ key }) => key));
  }

  /** Ids of the threads on the I/O path. */
  get onIoPath(): number[] {
    return this.traced.vms.flatMap((vm) =>
      [...this.traced.threadsOf(vm)].filter(({ role }) => SAMPLED_ROLES.has(role)).map(({ tid }) => tid),
    );
  }

  /** Ids of the VMs' processes. A vhost worker that is a kernel thread (before Linux 6.4) is a process of its own. */
  get processes(): number[] {
    return this.traced.vms.flatMap((vm) => [
      vm.pid,
      ...[...this.traced.threadsOf(vm)].filter(({ role }) => role === 'vhost').map(({ tid }) => tid),
    ]);
  }

  /** The vCPU threads of each VM. */
  get vcpus(): PerfTarget[] {
    return this.traced.vms.map((vm) => ({
      key: vm.key,
      tids: [...this.traced.threadsOf(vm)].filter(({ role }) => role === 'vcpu').map(({ tid }) => tid),
    }));
  }
}
