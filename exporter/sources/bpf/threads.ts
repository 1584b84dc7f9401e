import { append } from '../../../kernel/maps.ts';
import { MaskTexts } from '../../../probes/bpf/mask-texts.ts';
import { parseThreadRows, type RowTask } from '../../../probes/bpf/thread-rows.ts';
import { ifThere, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import type { Incarnation } from '../../../probes/proc-task-stat.ts';
import { readPossibleCpus } from '../../../probes/sys-cpu.ts';
import { NO_SNAPSHOT, type ThreadSnapshot, type ThreadSource } from '../../model/thread-snapshot.ts';
import type { VmThread } from '../../model/vm.ts';
import { BpfObject, type BpfSettings, type Loader, loadObject } from './object.ts';
import type { RowReader } from './row-reader.ts';

/** CONFIG_NR_CPUS is at most this on x86 and arm64. */
const MOST_CPUS = 8192;

/** The threads of VMs by one read of a BPF iterator, instead of four files for each. */
export class KernelThreads implements ThreadSource {
  readonly #object: BpfObject;
  #masks: MaskTexts | undefined;

  constructor(
    private readonly host: Host,
    settings: BpfSettings,
    load: Loader = loadThreads,
    now: () => number = () => performance.now(),
  ) {
    this.#object = new BpfObject(host, 'threads', settings, load, now);
  }

  /** Takes effect at the next `prepare`. */
  configure(settings: BpfSettings): void {
    this.#object.configure(settings);
  }

  prepare(): void {
    this.#object.prepare();
  }

  get isWanted(): boolean {
    return this.#object.isWanted;
  }

  read(pids: ReadonlySet<number>): ThreadSnapshot {
    const { reader, missing, objects, title } = this.#object;
    if (reader === undefined) return { ...NO_SNAPSHOT, missing, objects };
    try {
      this.#masks ??= new MaskTexts(ifThere(() => readPossibleCpus(this.host)) ?? MOST_CPUS);
      // The reader reuses its buffer.
      return new RowSnapshot(parseThreadRows(Buffer.from(reader.read(pids)), title, this.#masks), objects);
    } catch (error) {
      return { ...NO_SNAPSHOT, problems: [sourceError(error, title)], objects };
    }
  }

  close(): void {
    this.#object.close();
  }
}

class RowSnapshot implements ThreadSnapshot {
  readonly problems = [];
  readonly missing = [];
  readonly #processes = new Map<number, RowTask[]>();
  readonly #tasks = new Map<number, RowTask>();

  constructor(
    tasks: readonly RowTask[],
    readonly objects: ReadonlyMap<string, boolean>,
  ) {
    for (const task of tasks) {
      // Only a damaged file names a thread twice.
      if (this.#tasks.has(task.tid)) continue;
      this.#tasks.set(task.tid, task);
      append(this.#processes, task.pid, task);
    }
  }

  ofProcess({ pid, startTime }: Incarnation): readonly RowTask[] | undefined {
    return this.#tasks.get(pid)?.startTime === startTime ? this.#processes.get(pid) : undefined;
  }

  ofKernelThread(tid: number): RowTask | undefined {
    return this.#tasks.get(tid);
  }

  of({ tid, startTime }: VmThread): RowTask | undefined {
    const task = this.#tasks.get(tid);
    return task?.startTime === startTime ? task : undefined;
  }
}

function loadThreads(host: Host): RowReader {
  const words = Math.ceil(readPossibleCpus(host) / 64);
  const iterator = loadObject(host, 'threads');
  try {
    const processes = iterator.processSet('processes');
    return {
      object: iterator.object,
      read(pids) {
        processes.replace(pids, words);
        return iterator.read();
      },
      close: () => iterator.close(),
    };
  } catch (error) {
    iterator.close();
    throw error;
  }
}
