import { isGone } from '../../probes/errors.ts';
import { type Host, utf8 } from '../../probes/host.ts';
import { listTids } from '../../probes/proc-pids.ts';
import { ProcTask } from '../../probes/proc-task.ts';
import type { Task } from '../../probes/task.ts';
import { fitsThreadName, namelessIothreads } from '../model/nameless-iothreads.ts';
import { roleOf, type ThreadRole, TRACKED_ROLES, threadLabel } from '../model/roles.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../model/thread-snapshot.ts';
import type { ThreadObservation, Vm, VmThread } from '../model/vm.ts';
import { truncateName } from '../model/vm-names.ts';

/** More threads than any VMM needs (1,024 vCPUs and their helpers). Excess threads are ignored. */
const MAX_THREADS = 4096;

interface Found {
  readonly path: string;
  readonly task: Task;
}

/** The threads of one VM. A thread is identified by its id, start time and name; its role is decided once. */
export class ThreadTable {
  #threads = new Map<number, VmThread>();

  /**
   * Lists the current threads, as the snapshot or else /proc has them.
   *
   * @param kernelThreads ids of vhost workers that are kernel threads (before Linux 6.4)
   * @throws SourceError if the process has exited
   */
  observe(
    host: Host,
    vm: Vm,
    kernelThreads: readonly number[],
    snapshot: ThreadSnapshot = NO_SNAPSHOT,
  ): ThreadObservation[] {
    const own = ownThreads(host, vm, snapshot);
    const ofKernel = kernelThreads.flatMap((tid) => kernelThread(host, tid, snapshot));
    const mainComm = own.find(({ task }) => task.tid === vm.pid)?.task.comm ?? '';
    const decide = (tid: number, comm: string): ThreadRole => decidedRole(vm, tid, comm, mainComm);
    const iothreads = new Map([...namelessOf(vm, own, decide), ...vm.iothreadThreads]);

    const known = new Map<number, VmThread>();
    for (const { task } of [...own, ...ofKernel]) {
      const { tid, startTime, comm } = task;
      const thread = this.#threads.get(tid);
      const same = thread?.startTime === startTime && thread.comm === comm;
      if (thread !== undefined && same && agrees(thread, vm, iothreads.get(tid))) known.set(tid, thread);
    }
    const taken = new Set([...known.values()].map(({ label }) => label));
    const observations = [...own, ...ofKernel].map(({ path, task }) => {
      const { tid } = task;
      let thread = known.get(tid);
      if (thread === undefined) {
        const { startTime, comm } = task;
        const role = roleWith(decide(tid, comm), iothreads.get(tid));
        const label = freeLabel(role, taken);
        thread = { tid, startTime, comm, role: role.role, label, path };
        known.set(tid, thread);
        taken.add(label);
      }
      return { thread, task };
    });
    this.#threads = known;
    return observations;
  }

  /** Threads of the last observation. */
  get threads(): Iterable<VmThread> {
    return this.#threads.values();
  }
}

function ownThreads(host: Host, vm: Vm, snapshot: ThreadSnapshot): Found[] {
  const folder = `${host.roots.procfs}/${vm.pid}/task`;
  const tasks = snapshot.ofProcess(vm)?.slice(0, MAX_THREADS);
  if (tasks !== undefined) return tasks.map((task) => ({ path: `${folder}/${task.tid}`, task }));
  return listTids(host, vm.pid)
    .slice(0, MAX_THREADS)
    .flatMap((tid) => readThread(host, tid, `${folder}/${tid}`));
}

function kernelThread(host: Host, tid: number, snapshot: ThreadSnapshot): Found[] {
  const path = `${host.roots.procfs}/${tid}`;
  const task = snapshot.ofKernelThread(tid);
  return task === undefined ? readThread(host, tid, path) : [{ path, task }];
}

/** Empty if the thread has exited. */
function readThread(host: Host, tid: number, path: string): Found[] {
  try {
    const task = ProcTask.read(host, tid, path);
    return task === undefined ? [] : [{ path, task }];
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

function decidedRole(vm: Vm, tid: number, comm: string, mainComm: string): ThreadRole {
  const isMain = tid === vm.pid;
  const ids = { vcpu: vm.vcpuThreads.get(tid), kvmVcpu: vm.kvmVcpus.get(tid) };
  return roleOf({ comm: utf8(comm), isMain, mainComm: utf8(mainComm), ...ids }, vm);
}

function namelessOf(
  vm: Vm,
  own: readonly Found[],
  decide: (tid: number, comm: string) => ThreadRole,
): ReadonlyMap<number, string> {
  // Nearly all ids fit a thread's name.
  if (vm.iothreadIds.every(fitsThreadName)) return new Map();
  const threads = own.map(({ task: { tid, comm } }) => ({
    tid,
    comm,
    isVcpu: decide(tid, comm).role === 'vcpu',
  }));
  return namelessIothreads(vm.pid, threads, vm.iothreadIds);
}

/** Whether the decided role matches the present facts of the thread. */
function agrees({ tid, role, label }: VmThread, vm: Vm, iothread: string | undefined): boolean {
  const vcpu = vm.vcpuThreads.get(tid);
  // `vcpu1`, and `vcpu1~2` if there are two; not `vcpu10`.
  if (vcpu !== undefined) return role === 'vcpu' && label.split('~')[0] === `vcpu${vcpu}`;
  if (vm.kvmVcpus.has(tid)) return role === 'vcpu';
  return iothread === undefined || role === 'iothread' || role === 'monitor';
}

/** @param iothread the IOThread's id according to the QMP monitor or the order of the threads */
function roleWith(decided: ThreadRole, iothread: string | undefined): ThreadRole {
  if (iothread === undefined || decided.role === 'vcpu' || decided.role === 'monitor') return decided;
  return { role: 'iothread', id: iothread };
}

function freeLabel({ role, id }: ThreadRole, taken: ReadonlySet<string>): string {
  if (!TRACKED_ROLES.has(role)) return role;
  // Clean the id before the label is made unique: cleaning could make two labels equal.
  const thread = { role, id: id === undefined ? undefined : truncateName(id) };
  for (let index = 0; ; index++) {
    // Threads whose label does not contain the index share it: `name~2`, `name~3`.
    const isFixed = threadLabel(thread, 0) === threadLabel(thread, 1);
    const label =
      isFixed && index > 0 ? `${threadLabel(thread, 0)}~${index + 1}` : threadLabel(thread, index);
    if (!taken.has(label)) return label;
  }
}
