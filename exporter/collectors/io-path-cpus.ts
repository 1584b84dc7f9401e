import { getOrInsert } from '../../kernel/maps.ts';
import { attempt } from '../../probes/errors.ts';
import { cpusOfThreads, ioPathThreads } from '../model/io-path-cpus.ts';
import type { ThreadObservation, Vm } from '../model/vm.ts';
import type { Collection } from './collector.ts';

/** The threads of one role of one VM, and the CPUs on which they ran last. */
export interface RoleCpus {
  /** Of the VM and the role, unique on the host. */
  readonly key: string;
  readonly vmKey: string;
  readonly vm: string;
  readonly role: string;
  readonly threads: readonly ThreadObservation[];
  readonly cpus: readonly number[];
}

export interface CpuUsers {
  readonly roles: readonly RoleCpus[];
  /** Keys of the roles that run on each CPU. */
  readonly owners: ReadonlyMap<number, ReadonlySet<string>>;
  /** Keys of all roles of the VMs that live, also of those whose threads cannot be read now. */
  readonly known: ReadonlySet<string>;
}

/** Finds the CPUs of vCPUs and I/O threads once in each collection, for all collectors that need them. */
export class IoPathCpus {
  #collection: object | undefined;
  #found: CpuUsers = { roles: [], owners: new Map(), known: new Set() };
  #keysOfVms: ReadonlyMap<string, ReadonlySet<string>> = new Map();

  async of(collection: Pick<Collection, 'vms' | 'observeThreads' | 'yieldIfDue'>): Promise<CpuUsers> {
    if (this.#collection === collection) return this.#found;
    const roles: RoleCpus[] = [];
    const owners = new Map<number, Set<string>>();
    const keysOfVms = new Map<string, ReadonlySet<string>>();
    for (const vm of collection.vms) {
      await collection.yieldIfDue();
      const keys = new Set(this.#keysOfVms.get(vm.key));
      keysOfVms.set(vm.key, keys);
      for (const [role, threads] of threadsOf(collection, vm)) {
        const key = `${vm.key} ${role}`;
        keys.add(key);
        const cpus = cpusOfThreads(threads);
        roles.push({ key, vmKey: vm.key, vm: vm.label, role, threads, cpus });
        for (const cpu of cpus) getOrInsert(owners, cpu, () => new Set<string>()).add(key);
      }
    }
    this.#keysOfVms = keysOfVms;
    this.#found = { roles, owners, known: new Set([...keysOfVms.values()].flatMap((keys) => [...keys])) };
    this.#collection = collection;
    return this.#found;
  }
}

function threadsOf(
  { observeThreads }: Pick<Collection, 'observeThreads'>,
  vm: Vm,
): ReturnType<typeof ioPathThreads> {
  // The collector of threads reports what cannot be read.
  return ioPathThreads(attempt(() => observeThreads(vm)) ?? []);
}
