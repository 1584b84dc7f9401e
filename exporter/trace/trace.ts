import { isDeepStrictEqual } from 'node:util';
import { readKvmTypes } from '../../probes/bpf/kvm-types.ts';
import { type SourceError, sourceError } from '../../probes/errors.ts';
import { NOT_TRACED, type TraceReading } from '../model/trace-reading.ts';
import type { Vm } from '../model/vm.ts';
import { Backoff } from '../schedule/backoff.ts';
import type { Backend } from './backend.ts';
import {
  type BackendDependencies,
  type Counted,
  loadBpfForAll,
  startBackend,
  startTracefs,
  type TraceSettings,
} from './backend-choice.ts';
import type { BpfBackend } from './bpf/backend.ts';
import { type ExitFormat, readExitFormat } from './kernel.ts';
import { PerfTotals } from './perf-totals.ts';
import { Tallies } from './tallies.ts';
import { type Traced, TracedThreads } from './threads.ts';

/** Seconds between two tries on a host without tracefs or perf. */
const RETRY_TICKS = 60;
/** Time until a better backend is tried again, at first and at most. */
const FIRST_RETRY_MS = 60_000;
const MAX_RETRY_MS = 3_600_000;

/**
 * Counts trace events with the backend that the kernel supports. Changes run one after the other; a reading
 * can be taken at any time.
 */
export class Trace {
  readonly #threads: TracedThreads;
  readonly #tallies = new Tallies();
  readonly #perfTotals = new PerfTotals();
  #backend: Backend | undefined;
  /** The settings that the backend was started with. */
  #applied: TraceSettings | undefined;
  #format: ExitFormat | undefined;
  #limits: readonly string[] = [];
  #missing: readonly SourceError[] = [];
  #isFallback = false;
  #failures: readonly SourceError[] = [];
  /** The error that stopped the last change, if any. */
  #changeFailure: SourceError | undefined;
  #ticks = 0;
  #types = '';
  readonly #backoff: Backoff;
  #changing: Promise<void> = Promise.resolve();

  constructor(
    private readonly dependencies: BackendDependencies,
    private settings: TraceSettings,
    traced: Traced,
  ) {
    this.#threads = new TracedThreads(traced);
    this.#backoff = new Backoff(FIRST_RETRY_MS, MAX_RETRY_MS, dependencies.now);
  }

  /** The next tick applies the settings. */
  configure(settings: TraceSettings): void {
    this.settings = settings;
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
   * Resolves when the counts of a VM are up to date, after `withinMs` at the latest. Each perf process reports
   * at a different time.
   */
  async current(vm: Vm, withinMs: number): Promise<void> {
    await this.#backend?.current(vm.key, withinMs);
  }

  *#steps(): Generator<void> {
    this.#threads.update();
    this.#tallies.keepVms(this.#threads.vms);
    yield;
    if (this.#backend !== undefined) yield* this.#backend.read();
  }

  #reading(): TraceReading {
    const backend = this.#backend;
    const { isa, names } = this.#format ?? NOT_TRACED;
    const changeFailures = this.#changeFailure === undefined ? [] : [this.#changeFailure];
    const lacks = backend?.lacks ?? this.#missing;
    // A backend that is selected by name should count all sets.
    const [missing, failures] = this.#applied?.backend === 'bpf' ? [[], lacks] : [lacks, []];
    return {
      backend: backend?.name,
      isa,
      names,
      of: ({ key }) => backend?.of(key),
      sets: backend?.sets ?? [],
      problems: [...changeFailures, ...this.#failures, ...failures, ...(backend?.problems ?? [])],
      costRatio: backend?.costRatio,
      costFactor: backend?.costFactor,
      missing,
      limits: [...(backend?.limits ?? []), ...this.#limits],
    };
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
    const { settings, dependencies } = this;
    this.#applied = settings;
    this.#failures = [];
    this.#limits = [];
    this.#missing = [];
    this.#isFallback = false;
    this.#backoff.succeeded();
    this.#types = readKvmTypes(dependencies.host);
    this.#threads.update();
    this.#tallies.keepSets(settings.sets);
    if (settings.backend === 'off') return;
    try {
      this.#format = this.#readFormat();
      const choice = await startBackend(settings, this.#counted(this.#format), dependencies);
      this.#backend = choice.backend;
      this.#limits = choice.limits;
      this.#missing = choice.missing;
      this.#isFallback = choice.isFallback;
      if (this.#isFallback || this.#missing.length > 0) this.#backoff.failed();
    } catch (error) {
      this.#failures = [sourceError(error, dependencies.host.roots.tracefs)];
    }
  }

  #counted({ isa }: ExitFormat): Counted {
    return { isa, threads: this.#threads, tallies: this.#tallies, perfTotals: this.#perfTotals };
  }

  /**
   * Switches to a better backend that has become usable: a module is loaded, tracefs is mounted, or descriptors are
   * free again. The present backend counts until then. The collector continues its counters over the change.
   */
  async #improve(): Promise<void> {
    const [backend, format] = [this.#backend, this.#format];
    if (backend === undefined || format === undefined) return;
    if (this.#isFallback && backend.lacks?.length === 0) {
      this.#isFallback = false;
      this.#limits = [];
    }
    const wantsBpf = this.#missing.length > 0 && this.#missing.every(({ code }) => code !== 'until_restart');
    if (!(wantsBpf || this.#isFallback) || !this.#backoff.isOver) return;
    this.#backoff.failed();
    const bpf = wantsBpf
      ? await loadBpfForAll(this.settings, this.#counted(format), this.dependencies)
      : undefined;
    if (bpf !== undefined) await this.#returnToBpf(bpf);
    else if (this.#isFallback) await this.#returnToTracefs(backend, format);
  }

  async #returnToBpf(bpf: BpfBackend): Promise<void> {
    await this.#stop();
    bpf.begin();
    this.#backend = bpf;
    this.#missing = [];
    this.#limits = [];
    this.#isFallback = false;
    this.#backoff.succeeded();
  }

  async #returnToTracefs(fallback: Backend, format: ExitFormat): Promise<void> {
    try {
      // Both may fill the same tallies, so add the counts of the fallback first.
      for (const _ of fallback.read());
      this.#backend = await startTracefs(this.settings, this.#counted(format), this.dependencies);
    } catch {
      // The limits still name the first reason.
      return;
    }
    this.#missing = fallback.lacks ?? this.#missing;
    this.#isFallback = false;
    this.#limits = [];
    this.#failures = await fallback.stop();
  }

  async #tick(): Promise<void> {
    this.#ticks++;
    const hasChanged = !isDeepStrictEqual(this.settings, this.#applied);
    const isIdle = this.#backend === undefined;
    const isRetry = isIdle && this.#failures.length > 0 && this.#ticks % RETRY_TICKS === 0;
    if (!isIdle) this.#threads.update();
    if (this.#applied !== undefined && (hasChanged || isRetry || this.#hasOtherFormat())) {
      await this.#stop();
      await this.#start();
    }
    await this.#improve();
    await this.#backend?.tick();
  }

  /** kvm_intel or kvm_amd may be loaded after this program has started. */
  #hasOtherFormat(): boolean {
    if (this.#format === undefined || this.#ticks % RETRY_TICKS !== 0) return false;
    if (readKvmTypes(this.dependencies.host) !== this.#types) return true;
    const { isa, names } = this.#readFormat();
    return isa !== this.#format.isa || names.size !== this.#format.names.size;
  }

  /** Names that were read stay while tracefs is not mounted: BPF counts without it. */
  #readFormat(): ExitFormat {
    const format = readExitFormat(this.dependencies.host);
    const known = this.#format;
    return format.names.size === 0 && known?.isa === format.isa ? known : format;
  }

  async #stop(): Promise<void> {
    const backend = this.#backend;
    this.#backend = undefined;
    this.#failures = (await backend?.stop()) ?? [];
  }
}
