import { isGone, type SourceError, sourceError } from '../../../probes/errors.ts';
import type { Task } from '../../../probes/task.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../../model/thread-snapshot.ts';
import type { Vm, VmThread } from '../../model/vm.ts';
import { Yielder } from '../../schedule/yielder.ts';
import type { Mask, Masks } from './masks.ts';
import { checkedThreads, type Watched } from './watched.ts';

export interface MaskReading {
  readonly vm: Vm;
  readonly thread: VmThread;
  readonly mask: Mask;
  /** Whether the thread's mask was read for the first time, or differs from the one that was read before. */
  readonly change: 'none' | 'first' | 'changed';
}

/** A file of a thread costs as much as a sample. With more threads than this, each is read again every second or third time. */
const MAX_READS = 500;
const MAX_PROBLEMS = 16;

/**
 * Reads the masks of the VMs' threads. If /proc is the only source of many of them, the reader takes them in turns.
 */
export class MaskReader {
  /** Readings of threads whose masks did not change: each second reuses them. */
  readonly #unchanged = new WeakMap<VmThread, MaskReading>();
  #next = 0;
  #hadMoved = false;
  #problems: readonly SourceError[] = [];

  constructor(
    private readonly masks: Masks,
    private readonly watched: Watched,
  ) {}

  /** Errors of the last round. A thread that has exited is not an error. */
  get problems(): readonly SourceError[] {
    return this.#problems;
  }

  /** @param snapshot the threads now; those that it lacks are read from /proc */
  async read(snapshot: ThreadSnapshot = NO_SNAPSHOT): Promise<readonly MaskReading[]> {
    const { watched, masks } = this;
    const yielder = new Yielder();
    const readings: MaskReading[] = [];
    const problems: SourceError[] = [];
    const readAgain: Pick<MaskReading, 'vm' | 'thread'>[] = [];
    const read = (vm: Vm, thread: VmThread, task: Task | undefined): void => {
      try {
        readings.push(this.#readOne(vm, thread, task));
      } catch (error) {
        if (!isGone(error) && problems.length < MAX_PROBLEMS) problems.push(sourceError(error, thread.path));
      }
    };
    for (const vm of watched.vms)
      for (const thread of checkedThreads(watched, vm)) {
        if (yielder.isDue()) await yielder.yield();
        const task = snapshot.of(thread);
        if (task !== undefined || masks.of(thread) === undefined) read(vm, thread, task);
        else readAgain.push({ vm, thread });
      }
    if (this.#next >= readAgain.length) this.#next = 0;
    const turn = [...readAgain.slice(this.#next), ...readAgain.slice(0, this.#next)].slice(0, MAX_READS);
    for (const { vm, thread } of turn) {
      if (yielder.isDue()) await yielder.yield();
      read(vm, thread, undefined);
    }
    this.#next += turn.length;
    this.#problems = problems;
    this.#refreshPins(readings);
    return readings;
  }

  #readOne(vm: Vm, thread: VmThread, task: Task | undefined): MaskReading {
    const before = this.masks.of(thread);
    const mask = this.masks.read(thread, task);
    if (mask !== before) return { vm, thread, mask, change: before === undefined ? 'first' : 'changed' };
    const known = this.#unchanged.get(thread);
    if (known?.mask === mask && known.vm === vm) return known;
    const reading: MaskReading = { vm, thread, mask, change: 'none' };
    this.#unchanged.set(thread, reading);
    return reading;
  }

  /** libvirt may have moved a thread itself. Then its state shows the new pin now or in the next second. */
  #refreshPins(readings: readonly MaskReading[]): void {
    const hasMoved = readings.some(({ vm, change }) => change === 'changed' && vm.manager === 'libvirt');
    if (hasMoved || this.#hadMoved) this.watched.refreshPins();
    this.#hadMoved = hasMoved;
  }
}
