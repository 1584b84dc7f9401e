import { SourceError } from '../../probes/errors.ts';
import type { PerfCounts } from '../../probes/perf-stat.ts';
import type { PerfProcess, StartPerf } from './perf-process.ts';

const MAX_PROCESSES = 128;
/** perf opens one descriptor per counter and thread. */
const MAX_DESCRIPTORS = 8192;
/**
 * Each start takes milliseconds, and costs 30 ms of CPU time in perf. The other VMs start with the next call.
 */
const MAX_STARTS = 16;
const FIRST_BACKOFF_MS = 1_000;
const MAX_BACKOFF_MS = 60_000;
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

interface Running {
  readonly process: PerfProcess;
  /** Threads that still live. No other process counts them. */
  readonly tids: Set<number>;
  readonly descriptors: number;
  readonly startedAt: number;
  isEnding: boolean;
}

interface CountedVm {
  /** Called when perf has reported again. */
  readonly waiting: Set<() => void>;
  readonly totals: Map<string, number>;
  readonly running: Set<Running>;
  failure: SourceError | undefined;
  /** Failures since perf last ran for a while. */
  failures: number;
  retryAt: number;
}

/**
 * Counts trace events of VMs with one perf process per VM. Threads that start later get a perf process of
 * their own, so that no thread is counted twice and no count is lost. Between two calls of {@link follow} the
 * processes only count.
 */
export class PerfCounters {
  readonly #vms = new Map<string, CountedVm>();
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
      for (const running of vm.running) end(running);
      release(vm);
      this.#vms.delete(key);
    }
    this.#leftOut = 0;
    let starts = MAX_STARTS;
    for (const { key, tids } of alive.values()) {
      const vm = this.#vmOf(key);
      const uncounted = this.#uncounted(vm, new Set(tids));
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
    const totals = this.#vms.get(key)?.totals;
    return totals === undefined || totals.size === 0 ? undefined : totals;
  }

  /** Resolves when perf has reported the VM's counts again, after `withinMs` at the latest. */
  async next(key: string, withinMs: number): Promise<void> {
    const vm = this.#vms.get(key);
    if (vm === undefined || vm.running.size === 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        vm.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      timer.unref();
      vm.waiting.add(done);
    });
  }

  /** The reasons why VMs, or some of their threads, are not counted. */
  get problems(): readonly SourceError[] {
    const problems = new Map<string, SourceError>();
    if (this.#absence !== undefined) problems.set('', this.#absence);
    for (const { failure, failures } of this.#vms.values()) {
      if (failure === undefined || problems.size >= MAX_PROBLEMS) continue;
      // Threads may exit before the next update. That is an error only if it repeats.
      if (failure.kind !== 'vanished' || failures > 1) problems.set(failure.message, failure);
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

  #vmOf(key: string): CountedVm {
    let vm = this.#vms.get(key);
    if (vm === undefined) {
      const retryAt = Number.NEGATIVE_INFINITY;
      vm = {
        waiting: new Set(),
        totals: new Map(),
        running: new Set(),
        failure: undefined,
        failures: 0,
        retryAt,
      };
      this.#vms.set(key, vm);
    }
    return vm;
  }

  /** Forgets threads that are gone, as their ids may be reused. */
  #uncounted(vm: CountedVm, tids: Set<number>): number[] {
    const uncounted = new Set(tids);
    for (const running of vm.running) {
      for (const tid of running.tids) {
        if (tids.has(tid)) uncounted.delete(tid);
        else running.tids.delete(tid);
      }
      if (running.tids.size === 0) end(running);
    }
    return [...uncounted];
  }

  #hasRoom(threads: number): boolean {
    let descriptors = threads * this.counters.length;
    for (const running of this.#running) descriptors += running.descriptors;
    return this.#running.size < MAX_PROCESSES && descriptors <= MAX_DESCRIPTORS;
  }

  #isDue(vm: CountedVm): boolean {
    if (this.now() < vm.retryAt) return false;
    if (this.#absence === undefined) return true;
    if (this.now() < this.#tryPerfAt) return false;
    this.#tryPerfAt = this.now() + MAX_BACKOFF_MS;
    return true;
  }

  #count(vm: CountedVm, tids: readonly number[]): void {
    const process = this.start(this.counters, tids, {
      counted: (counts) => {
        this.#add(vm.totals, counts);
        this.#absence = undefined;
        if (running !== newest(vm)) return;
        vm.failure = undefined;
        release(vm);
      },
      ended: (problem) => {
        this.#running.delete(running);
        vm.running.delete(running);
        release(vm);
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
    vm.running.add(running);
  }

  #add(totals: Map<string, number>, counts: PerfCounts): void {
    this.counters.forEach(({ name }, i) => {
      const count = counts[i];
      if (count !== undefined) totals.set(name, (totals.get(name) ?? 0) + count);
    });
  }

  #fail(vm: CountedVm, { startedAt }: Running, problem: SourceError): void {
    if (problem.kind === 'absent') {
      this.#absence = problem;
      this.#tryPerfAt = this.now() + MAX_BACKOFF_MS;
      return;
    }
    const wasWell = this.now() - startedAt >= MAX_BACKOFF_MS;
    vm.failure = problem;
    vm.failures = wasWell ? 1 : vm.failures + 1;
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (vm.failures - 1));
    // The threads have exited; restart at once with the threads that replaced them.
    vm.retryAt = this.now() + (problem.kind === 'vanished' && vm.failures === 1 ? 0 : backoffMs);
  }
}

/** The newest process, which counts all threads that the older ones do not. */
function newest({ running }: CountedVm): Running | undefined {
  return [...running].at(-1);
}

function release({ waiting }: CountedVm): void {
  for (const done of [...waiting]) done();
}

function end(running: Running): void {
  if (running.isEnding) return;
  running.isEnding = true;
  running.process.end();
}
