/** A thread of QEMU's process. */
export interface LivingThread {
  readonly tid: number;
  readonly comm: string;
  readonly isVcpu: boolean;
}

const MAX_COMM = 15;

/**
 * Finds the IOThreads whose ids are too long for a thread name. `pthread_setname_np()` refuses a name over 15
 * bytes, so such a thread keeps the name of the process (util/qemu-thread-posix.c). QEMU creates the
 * IOThreads of its command line in order, before the vCPUs. An id is reported only if every id has its thread
 * in that order and there is no other candidate.
 *
 * @param threads of the process
 * @param ids of the command line, in order
 * @returns ids by thread id; empty if not certain
 */
export function namelessIothreads(
  pid: number,
  threads: readonly LivingThread[],
  ids: readonly string[],
): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  if (ids.every(fitsThreadName)) return found;
  // Thread ids have wrapped, so they no longer show the order of creation.
  if (threads.some(({ tid }) => tid < pid)) return found;
  const mainComm = threads.find(({ tid }) => tid === pid)?.comm;
  const inOrder = threads.filter(({ tid }) => tid !== pid).sort((a, b) => a.tid - b.tid);
  const firstVcpu = inOrder.findIndex(({ isVcpu }) => isVcpu);
  if (firstVcpu < 0) return found;
  const names = new Set(ids.filter(fitsThreadName).map((id) => `IO ${id}`));
  const made = inOrder.slice(0, firstVcpu).filter(({ comm }) => comm === mainComm || names.has(comm));
  if (made.length !== ids.length) return found;
  for (const [i, { tid, comm }] of made.entries()) {
    const id = ids[i] ?? '';
    if (fitsThreadName(id) ? comm !== `IO ${id}` : comm !== mainComm) return new Map();
    if (!fitsThreadName(id)) found.set(tid, id);
  }
  return found;
}

/** Whether QEMU can name the thread of this IOThread. */
export function fitsThreadName(id: string): boolean {
  return Buffer.byteLength(`IO ${id}`) <= MAX_COMM;
}
