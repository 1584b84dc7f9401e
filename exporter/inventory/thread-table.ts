import { isGone } from '../../probes/errors.ts';
import { type Host, utf8 } from '../../probes/host.ts';
import { listTids } from '../../probes/proc-pids.ts';
import { readTaskStat, type TaskStat } from '../../probes/proc-task-stat.ts';
import { fullIothreadId, roleOf, TRACKED_ROLES, threadLabel } from '../model/roles.ts';
import type { ThreadObservation, Vm, VmThread } from '../model/vm.ts';

/** More threads than any VMM needs (1,024 vCPUs and their helpers): the rest of a thread bomb is not looked at. */
const MAX_THREADS = 4096;

/** The threads of one VM. A thread is known by its id, start time and name; what is known is not decided anew. */
export class ThreadTable {
  #threads = new Map<number, VmThread>();

  /**
   * Lists and reads the threads that live now.
   *
   * @param kernelThreads ids of vhost workers that are kernel threads (before Linux 6.4)
   * @throws SourceError where the process is gone
   */
  observe(host: Host, vm: Vm, kernelThreads: readonly number[]): ThreadObservation[] {
    const task = `${host.roots.procfs}/${vm.pid}/task`;
    const observations: ThreadObservation[] = [];
    const found: { tid: number; path: string; stat: TaskStat }[] = [];
    const read = (tid: number, path: string): void => {
      try {
        const stat = readTaskStat(host, path);
        if (stat.state !== 'Z' && stat.state !== 'X') found.push({ tid, path, stat });
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    };
    for (const tid of listTids(host, vm.pid).slice(0, MAX_THREADS)) read(tid, `${task}/${tid}`);
    for (const tid of kernelThreads) read(tid, `${host.roots.procfs}/${tid}`);

    const known = new Map<number, VmThread>();
    for (const { tid, stat } of found) {
      const thread = this.#threads.get(tid);
      const same = thread?.startTime === stat.startTime && thread.comm === stat.comm;
      if (thread !== undefined && same && agrees(vm, thread)) known.set(tid, thread);
    }
    const mainComm = found.find(({ tid }) => tid === vm.pid)?.stat.comm ?? '';
    const taken = new Set([...known.values()].map(({ label }) => label));
    for (const { tid, path, stat } of found) {
      let thread = known.get(tid);
      if (thread === undefined) {
        thread = identify(vm, tid, path, stat, mainComm, taken, known);
        known.set(tid, thread);
        taken.add(thread.label);
      }
      observations.push({ thread, stat });
    }
    this.#threads = known;
    return observations;
  }

  /** What the last observation found. */
  get threads(): Iterable<VmThread> {
    return this.#threads.values();
  }
}

/** Whether nothing better is known by now of what the thread is. */
function agrees(vm: Vm, { tid, role, label }: VmThread): boolean {
  const vcpu = vm.vcpuThreads.get(tid);
  const iothread = vm.iothreadThreads.get(tid);
  if (vcpu !== undefined) return role === 'vcpu' && label.startsWith(`vcpu${vcpu}`);
  return iothread === undefined || role === 'iothread' || role === 'monitor';
}

function identify(
  vm: Vm,
  tid: number,
  path: string,
  stat: TaskStat,
  mainComm: string,
  taken: ReadonlySet<string>,
  known: ReadonlyMap<number, VmThread>,
): VmThread {
  const comm = stat.comm;
  const iothread = vm.iothreadThreads.get(tid);
  const decided = roleOf(utf8(comm), utf8(mainComm), tid === vm.pid, vm.vcpuThreads.get(tid));
  const isIothread = iothread !== undefined && decided.role !== 'vcpu' && decided.role !== 'monitor';
  const role = isIothread ? 'iothread' : decided.role;
  let id = isIothread ? iothread : decided.id;
  if (!isIothread && role === 'iothread' && id !== undefined) {
    const rank = [...known.values()].filter(
      (other) => other.role === 'iothread' && other.comm === comm,
    ).length;
    id = fullIothreadId(id, rank, vm.iothreadIds);
  }
  return { tid, startTime: stat.startTime, comm, role, label: freeLabel({ role, id }, taken), path };
}

function freeLabel(thread: Parameters<typeof threadLabel>[0], taken: ReadonlySet<string>): string {
  if (!TRACKED_ROLES.has(thread.role)) return thread.role;
  for (let index = 0; ; index++) {
    const label = threadLabel(thread, index);
    if (!taken.has(label)) return label;
    // The label does not depend on the index: two threads claim one name.
    if (threadLabel(thread, index + 1) === label) return `${label}~${index + 2}`;
  }
}
