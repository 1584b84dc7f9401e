import { SourceError } from '../../probes/errors.ts';
import type { StartPerf } from './perf-process.ts';
import { end, MAX_BACKOFF_MS, PerfVm, type Running } from './perf-vm.ts';

const MAX_PROCESSES = 128;
/** perf opens one descriptor per counter and thread. */
const MAX_DESCRIPTORS = 8192;
/**
 * Each start takes milliseconds, and costs 30 ms of CPU time in perf. The other VMs start with the next call.
 */
const MAX_STARTS = 16;
const MAX_PROBLEMS = 16;

export interface PerfCounter {
  /** Such as `kvm_pio:notify`: the same event may be counted with several filters. */
  readonly name: string;
  /** Such as `kvm:kvm_pio`. */
  readonly event: string;
  readonly filter: string | undefined;
}

export interface PerfTarget {
  /** One incarnation of a VM. */
  readonly key: string;
  /** Thread ids of its vCPUs. */
  readonly tids: readonly number[];
}

/**
 * Counts trace events of VMs with one perf process per VM. Threads that start later get a perf process of
 * their own, so that no thread is counted twice and no count is lost. Between two calls of {@link follow} the
 * processes only count.
 */
export class PerfCounters {
  readonly #vms = new Map<string, PerfVm>();
  /** All processes that have not ended, including those of VMs that are gone. */
  readonly #running = new Set<Running>();
  #leftOut = 0;
  /** An error of perf itself, which applies to all VMs. */
  #absence: SourceError | undefined;
  #tryPerfAt = Number.NEGATIVE_INFINITY;
  #stopped: Promise<void> | undefined;
  #onAllEnded: () => void = () => undefined;

  constructor(
    private readonly counters: readonly PerfCounter[],
    private readonly start: StartPerf,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts exactly these VMs. */
  follow(targets: readonly PerfTarget[]): void {
    if (this.#stopped !== undefined || this.counters.length === 0) return;
    const alive = new Map(targets.map((target) => [target.key, target]));
    for (const [key, vm] of this.#vms) {
      if (alive.has(key)) continue;
      vm.end();
      this.#vms.delete(key);
    }
    this.#leftOut = 0;
    let starts = MAX_STARTS;
    for (const { key, tids } of alive.values()) {
      const vm = this.#vmOf(key);
      const uncounted = vm.uncounted(tids);
      if (uncounted.length === 0) continue;
      if (!this.#hasRoom(uncounted.length)) this.#leftOut++;
      else if (starts > 0 && this.#isDue(vm)) {
        starts--;
        this.#count(vm, uncounted);
      }
    }
  }

  /** Counts since the VM was first followed. They never fall; undefined if nothing has been counted yet. */
  counts(key: string): ReadonlyMap<string, number> | undefined {
    return this.#vms.get(key)?.counts;
  }

  /** Resolves when perf has reported the VM's counts again, after `withinMs` at the latest. */
  async next(key: string, withinMs: number): Promise<void> {
    await this.#vms.get(key)?.next(withinMs);
  }

  /** The reasons why VMs, or some of their threads, are not counted. */
  get problems(): readonly SourceError[] {
    const problems = new Map<string, SourceError>();
    if (this.#absence !== undefined) problems.set('', this.#absence);
    for (const { problem } of this.#vms.values()) {
      if (problem !== undefined && problems.size < MAX_PROBLEMS) problems.set(problem.message, problem);
    }
    const result = [...problems.values()];
    if (this.#leftOut > 0) {
      const limits = `at most ${MAX_PROCESSES} processes and ${MAX_DESCRIPTORS} descriptors (events x vCPUs) are used`;
      const reason = `VMs not counted, or not all their vCPUs: ${this.#leftOut}; ${limits}`;
      result.push(new SourceError('too_large', 'perf', reason));
    }
    return result;
  }

  /** Stops for good. Afterwards {@link counts} includes the last interval. */
  stop(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#onAllEnded = resolve;
      for (const running of this.#running) end(running);
      if (this.#running.size === 0) resolve();
    });
    return this.#stopped;
  }

  #vmOf(key: string): PerfVm {
    const vm = this.#vms.get(key) ?? new PerfVm();
    this.#vms.set(key, vm);
    return vm;
  }

  #hasRoom(threads: number): boolean {
    let descriptors = threads * this.counters.length;
    for (const running of this.#running) descriptors += running.descriptors;
    return this.#running.size < MAX_PROCESSES && descriptors <= MAX_DESCRIPTORS;
  }

  #isDue(vm: PerfVm): boolean {
    const now = this.now();
    if (!vm.isDue(now)) return false;
    if (this.#absence === undefined) return true;
    if (now < this.#tryPerfAt) return false;
    this.#tryPerfAt = now + MAX_BACKOFF_MS;
    return true;
  }

  #count(vm: PerfVm, tids: readonly number[]): void {
    const names = this.counters.map(({ name }) => name);
    const process = this.start(this.counters, tids, {
      counted: (counts) => {
        this.#absence = undefined;
        vm.counted(running, names, counts);
      },
      ended: (problem) => {
        this.#running.delete(running);
        vm.ended(running);
        if (!running.isEnding) this.#fail(vm, running, problem);
        if (this.#running.size === 0) this.#onAllEnded();
      },
    });
    const running: Running = {
      process,
      tids: new Set(tids),
      descriptors: tids.length * this.counters.length,
      startedAt: this.now(),
      isEnding: false,
    };
    this.#running.add(running);
    vm.started(running);
  }

  #fail(vm: PerfVm, running: Running, problem: SourceError): void {
    const now = this.now();
    if (problem.kind !== 'absent') vm.failed(running, problem, now);
    else {
      this.#absence = problem;
      this.#tryPerfAt = now + MAX_BACKOFF_MS;
    }
  }
}
