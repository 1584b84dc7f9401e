import { SourceError, sourceError } from '../../probes/errors.ts';
import type { Isa } from '../model/io-path.ts';
import { SAMPLED_ROLES } from '../model/roles.ts';
import { NOT_TRACED, type TraceReading } from '../model/trace-reading.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import { traceOf } from './counts.ts';
import { type ExitFormat, readExitFormat } from './kernel.ts';
import { Owners } from './owners.ts';
import { PerfCounters } from './perf-counters.ts';
import { PERF_SETS, perfCounters, perfLimits, traceFromPerf } from './perf-events.ts';
import type { StartPerf } from './perf-process.ts';
import { type TallyName, TRACE_SETS, type TraceSetName } from './sets.ts';
import type { Tally } from './tally.ts';
import { TracefsBackend, type TracefsDependencies } from './tracefs.ts';

export type BackendChoice = 'auto' | 'tracefs' | 'perf' | 'off';

export interface TraceSettings {
  readonly backend: BackendChoice;
  readonly sets: readonly TraceSetName[];
  readonly dutyCycle: number;
}

export interface TraceDependencies extends TracefsDependencies {
  readonly startPerf: StartPerf;
  /** The host is a copy of another host's files: perf would count on the kernel that runs here. */
  readonly isCopy?: boolean;
}

/** The VMs and their threads from the inventory. */
export interface Traced {
  readonly vms: readonly Vm[];
  threadsOf(vm: Vm): Iterable<VmThread>;
}

/** Seconds between two tries on a host without tracefs or perf. */
const RETRY_TICKS = 60;

/**
 * Counts trace events with the backend that the kernel supports. Changes run one after the other; a reading
 * can be taken at any time.
 */
export class Trace {
  readonly #owners = new Owners();
  readonly #tallies = new Map<TallyName, Tally>();
  #tracefs: TracefsBackend | undefined;
  #perf: PerfCounters | undefined;
  #perfBefore: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map();
  #settings: TraceSettings | undefined;
  #format: ExitFormat | undefined;
  #failures: SourceError[] = [];
  /** The error that stopped the last change, if any. */
  #changeFailure: SourceError | undefined;
  #whyNotTracefs: string | undefined;
  #ticks = 0;
  #changing: Promise<void> = Promise.resolve();

  constructor(
    private readonly parts: TraceDependencies,
    private wanted: TraceSettings,
    private readonly traced: Traced,
  ) {}

  /** The next tick applies the settings. */
  configure(settings: TraceSettings): void {
    this.wanted = settings;
  }

  /** Starts counting. Never throws: the reading reports errors. */
  start(): Promise<void> {
    return this.#change(() => this.#start());
  }

  /** Call every second. */
  tick(): Promise<void> {
    return this.#change(() => this.#tick());
  }

  /** Stops counting and removes all triggers and processes. */
  stop(): Promise<void> {
    return this.#change(() => this.#stop());
  }

  /** Returns the counts so far. */
  read(): TraceReading {
    for (const _ of this.#steps());
    return this.#reading();
  }

  /** The same, but yields after each map. */
  async readPaced(yieldIfDue: () => Promise<void>): Promise<TraceReading> {
    for (const _ of this.#steps()) await yieldIfDue();
    return this.#reading();
  }

  /**
   * Resolves when the counts of a VM are up to date, or after `withinMs`. Each perf process reports at a
   * different time.
   */
  async current(vm: Vm, withinMs: number): Promise<void> {
    await this.#perf?.next(vm.key, withinMs);
  }

  *#steps(): Generator<void> {
    this.#owners.update(this.traced.vms, (vm) => this.traced.threadsOf(vm));
    const vms = new Set(this.traced.vms.map(({ key }) => key));
    for (const tally of this.#tallies.values()) tally.keep(vms);
    this.#perf?.follow(this.#perfTargets());
    yield;
    if (this.#tracefs !== undefined) yield* this.#tracefs.steps((tid) => this.#owners.of(tid));
  }

  #reading(): TraceReading {
    const { isa, names } = this.#format ?? NOT_TRACED;
    return {
      backend: this.#tracefs !== undefined ? 'tracefs' : this.#perf !== undefined ? 'perf' : undefined,
      isa,
      names,
      of: (vm) => {
        if (this.#tracefs !== undefined) return traceOf(this.#tallies, vm.key, isa);
        const counts = this.#perfCounts(vm.key);
        return counts === undefined ? undefined : traceFromPerf(counts, isa);
      },
      sets: this.#tracefs?.sets ?? [],
      problems: [
        ...(this.#changeFailure === undefined ? [] : [this.#changeFailure]),
        ...this.#failures,
        ...(this.#tracefs?.problems ?? []),
        ...(this.#perf?.problems ?? []),
      ],
      limits: this.#perf === undefined ? this.#limitsOfNothing() : this.#limitsOfPerf(isa),
    };
  }

  /** Includes the counts of earlier perf processes, from before the settings changed. */
  #perfCounts(vm: string): ReadonlyMap<string, number> | undefined {
    const now = this.#perf?.counts(vm);
    return now === undefined ? undefined : this.#withBefore(vm, now);
  }

  #withBefore(vm: string, now: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    const before = this.#perfBefore.get(vm);
    if (before === undefined) return now;
    return new Map([...now].map(([name, count]) => [name, count + (before.get(name) ?? 0)]));
  }

  #totalsOf(perf: PerfCounters): Map<string, ReadonlyMap<string, number>> {
    const totals = new Map<string, ReadonlyMap<string, number>>();
    for (const { key } of this.traced.vms) {
      const counts = perf.counts(key);
      const total = counts === undefined ? this.#perfBefore.get(key) : this.#withBefore(key, counts);
      if (total !== undefined) totals.set(key, total);
    }
    return totals;
  }

  #limitsOfNothing(): string[] {
    const isIdle = this.#tracefs === undefined && this.#failures.length === 0;
    return isIdle && this.#whyNotTracefs !== undefined ? [this.#whyNotTracefs] : [];
  }

  #limitsOfPerf(isa: Isa): string[] {
    const limits = perfLimits(this.#settings?.sets ?? [], isa);
    return this.#whyNotTracefs === undefined ? limits : [this.#whyNotTracefs, ...limits];
  }

  #change(change: () => Promise<void>): Promise<void> {
    this.#changing = this.#changing.then(async () => {
      try {
        await change();
        this.#changeFailure = undefined;
      } catch (error) {
        this.#changeFailure = sourceError(error, 'trace');
      }
    });
    return this.#changing;
  }

  async #start(): Promise<void> {
    const settings = this.wanted;
    this.#settings = settings;
    this.#failures = [];
    this.#whyNotTracefs = undefined;
    this.#owners.update(this.traced.vms, (vm) => this.traced.threadsOf(vm));
    this.#forgetOtherSets(settings.sets);
    const { backend } = settings;
    if (backend === 'off') return;
    const { host } = this.parts;
    try {
      this.#format = readExitFormat(host);
      if (backend !== 'perf' && (await this.#startTracefs(settings, this.#format))) return;
      if (backend !== 'tracefs') this.#startPerf(settings, this.#format);
    } catch (error) {
      this.#failures.push(sourceError(error, host.roots.tracefs));
    }
  }

  async #startTracefs({ backend, sets, dutyCycle }: TraceSettings, { isa }: ExitFormat): Promise<boolean> {
    const tracefs = new TracefsBackend(this.parts, sets, isa, dutyCycle, this.#tallies);
    try {
      await tracefs.start(this.#followed());
      this.#tracefs = tracefs;
      return true;
    } catch (error) {
      // With backend auto this is not an error yet, as perf may work.
      const failure = sourceError(error, this.parts.host.roots.tracefs);
      if (backend === 'tracefs') this.#failures.push(failure);
      else this.#whyNotTracefs = `perf is used, as tracefs is not usable: ${failure.message}`;
      return false;
    }
  }

  #startPerf({ sets }: TraceSettings, { isa }: ExitFormat): void {
    if (this.parts.isCopy === true) {
      this.#whyNotTracefs =
        'nothing is traced: this is a copy of a host, and perf would count on the kernel that runs here';
      return;
    }
    const counters = perfCounters(this.parts.host, isa, sets);
    if (counters.length === 0 && sets.every((set) => !PERF_SETS.has(set))) {
      const why = this.#whyNotTracefs === undefined ? '' : `; ${this.#whyNotTracefs}`;
      throw new SourceError('absent', 'trace.sets', `perf counts none of the sets ${sets.join(', ')}${why}`);
    }
    if (counters.length === 0) {
      const path = `${this.parts.host.roots.tracefs}/events/kvm`;
      throw new SourceError('absent', path, 'tracefs is not mounted, or the kvm module is not loaded');
    }
    this.#perf = new PerfCounters(counters, this.parts.startPerf, this.parts.now);
    this.#perf.follow(this.#perfTargets());
  }

  async #tick(): Promise<void> {
    this.#ticks++;
    const isIdle = this.#tracefs === undefined && this.#perf === undefined;
    const hasChanged = JSON.stringify(this.wanted) !== JSON.stringify(this.#settings);
    const isRetry = isIdle && this.#failures.length > 0 && this.#ticks % RETRY_TICKS === 0;
    this.#owners.update(this.traced.vms, (vm) => this.traced.threadsOf(vm));
    if (this.#settings !== undefined && (hasChanged || isRetry || this.#hasOtherFormat())) {
      await this.#stop();
      await this.#start();
    }
    await this.#tracefs?.tick(this.#followed(), (tid) => this.#owners.of(tid));
    this.#perf?.follow(this.#perfTargets());
  }

  /** kvm_intel or kvm_amd may be loaded after this program has started. */
  #hasOtherFormat(): boolean {
    if (this.#format === undefined || this.#ticks % RETRY_TICKS !== 0) return false;
    const { isa, names } = readExitFormat(this.parts.host);
    return isa !== this.#format.isa || names.size !== this.#format.names.size;
  }

  async #stop(): Promise<void> {
    const [tracefs, perf] = [this.#tracefs, this.#perf];
    tracefs?.read((tid) => this.#owners.of(tid));
    this.#tracefs = undefined;
    this.#perf = undefined;
    this.#failures = (await tracefs?.stop()) ?? [];
    await perf?.stop();
    if (perf !== undefined) this.#perfBefore = this.#totalsOf(perf);
  }

  /** Removes the tallies of disabled sets: a counter that no longer counts would be misleading. */
  #forgetOtherSets(sets: readonly TraceSetName[]): void {
    const kept = new Set(
      sets.flatMap((set) =>
        TRACE_SETS[set].triggers.flatMap((trigger) => ('tally' in trigger ? trigger.tally : [])),
      ),
    );
    for (const name of this.#tallies.keys()) if (!kept.has(name)) this.#tallies.delete(name);
  }

  #followed(): number[] {
    return this.traced.vms.flatMap((vm) =>
      [...this.traced.threadsOf(vm)].filter(({ role }) => SAMPLED_ROLES.has(role)).map(({ tid }) => tid),
    );
  }

  #perfTargets(): { key: string; tids: number[] }[] {
    return this.traced.vms.map((vm) => ({
      key: vm.key,
      tids: [...this.traced.threadsOf(vm)].filter(({ role }) => role === 'vcpu').map(({ tid }) => tid),
    }));
  }
}
