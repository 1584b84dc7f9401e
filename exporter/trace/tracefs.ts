import { SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Isa } from '../model/io-path.ts';
import type { SetReading } from '../model/trace-reading.ts';
import { TraceInstance } from './instance.ts';
import type { TallyName, TraceSetName, Trigger } from './sets.ts';
import { type Owner, Tally } from './tally.ts';
import { TracedSet } from './traced-set.ts';
import type { TracefsWriter } from './writer.ts';

/** A map that is fuller than this is cleared, or enlarged if VM threads fill more than half of this share. */
const FULL = 3 / 4;
/** Seconds between two tries of a set with missing parts: kvm_amd or kvm_intel may be loaded later. */
const RETRY_TICKS = 30;
/** Seconds after which a window that is always open is recreated: threads that are gone fill its maps. */
const WINDOW_TICKS = 60;

export type OwnerOf = (tid: number) => Owner | undefined;

/** Dependencies of the backend. */
export interface TracefsDependencies {
  readonly host: Host;
  readonly writer: TracefsWriter;
  readonly pid: number;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Seconds since boot. */
  readonly sinceBoot: () => number;
}

/** Counts in the kernel, with hist triggers in its own instance: an event costs nothing in user space. */
export class TracefsBackend {
  readonly #instance: TraceInstance;
  readonly #sets: readonly TracedSet[];
  readonly #entries = new Map<TallyName, number>();
  readonly #full = new Map<Trigger, 'clear' | 'enlarge'>();
  #leftovers: SourceError[] = [];
  #readProblems: SourceError[] = [];
  #ticks = 0;

  /** @param tallies counts of an earlier instance; this one adds to them */
  constructor(
    private readonly parts: TracefsDependencies,
    sets: readonly TraceSetName[],
    isa: Isa,
    private readonly dutyCycle: number,
    private readonly tallies: Map<TallyName, Tally>,
  ) {
    this.#instance = new TraceInstance(parts.host, parts.writer, parts.pid);
    this.#sets = sets.map((name) => new TracedSet(name, this.#instance, isa, parts.now));
  }

  /** @throws SourceError if tracefs or its hist triggers cannot be used */
  async start(followed: readonly number[]): Promise<void> {
    this.#leftovers = await this.#instance.create();
    if (!this.#instance.hasHistTriggers) {
      await this.#instance.destroy();
      const reason = 'no hist triggers in this kernel (CONFIG_HIST_TRIGGERS)';
      throw new SourceError('absent', this.parts.host.roots.tracefs, reason);
    }
    for (const tally of this.tallies.values()) tally.restart();
    for (const set of this.#sets) await set.install(followed);
  }

  /** @returns leftovers that could not be removed */
  async stop(): Promise<SourceError[]> {
    for (const set of this.#sets) {
      this.#keepDrops(set);
      set.forget();
    }
    return this.#instance.destroy();
  }

  /**
   * Call every second. Opens and closes the windows of duty-cycled sets, and maintains maps and threads.
   *
   * @param followed threads of VMs on the I/O path
   */
  async tick(followed: readonly number[], ownerOf: OwnerOf): Promise<void> {
    this.#ticks++;
    if (!this.#instance.exists) {
      for (const set of this.#sets) set.forget();
      await this.start(followed);
    }
    const isOpen = this.#isWindow();
    for (const set of this.#sets) {
      await this.#maintain(set, followed, ownerOf);
      if (set.set.dutyCycled !== true) continue;
      const isFull = set.set.triggers.some(({ fills }) => fills === true) || this.#ticks % WINDOW_TICKS === 0;
      if (!isOpen || isFull) await set.close();
      if (isOpen) await set.open(followed);
    }
  }

  /** Adds the kernel's counts so far to the tallies. */
  read(ownerOf: OwnerOf): void {
    for (const _ of this.steps(ownerOf));
  }

  /** The same in steps, so that the caller can yield to the event loop between them. */
  *steps(ownerOf: OwnerOf): Generator<void> {
    this.#readProblems = [];
    for (const event of new Set(this.#sets.flatMap(eventsOf))) {
      this.#readEvent(event, ownerOf);
      yield;
    }
  }

  get problems(): SourceError[] {
    return [...this.#leftovers, ...this.#sets.flatMap(({ problems }) => problems), ...this.#readProblems];
  }

  get sets(): SetReading[] {
    return this.#sets
      .filter(({ installed }) => installed.length > 0)
      .map(({ name, set, dropped, activeRatio }) => {
        const names = set.triggers.flatMap(({ tally }) => tally ?? []);
        return {
          set: name,
          entries: Math.max(0, ...names.map((tally) => this.#entries.get(tally) ?? 0)),
          dropped: names.reduce((sum, tally) => sum + (this.tallies.get(tally)?.dropped ?? 0), dropped),
          activeRatio,
        };
      });
  }

  /** Windows of one second, spread evenly: a duty cycle of 0.25 opens every fourth second. */
  #isWindow(): boolean {
    return Math.floor(this.#ticks * this.dutyCycle) > Math.floor((this.#ticks - 1) * this.dutyCycle);
  }

  #readEvent(event: string, ownerOf: OwnerOf): void {
    let blocks: readonly HistBlock[];
    try {
      blocks = this.#instance.read(event);
    } catch (error) {
      this.#readProblems.push(sourceError(error, event));
      return;
    }
    for (const set of this.#sets.filter(({ isBusy }) => !isBusy)) {
      for (const { trigger, event: of } of set.installed) {
        if (of !== event || trigger.tally === undefined) continue;
        const block = set.blockOf(blocks, trigger);
        if (block !== undefined) this.#take(set, trigger, trigger.tally, block, ownerOf);
        else {
          set.isBroken = true;
          this.#readProblems.push(new SourceError('failed', event, 'somebody removed our trigger'));
        }
      }
    }
  }

  #take(set: TracedSet, trigger: Trigger, name: TallyName, block: HistBlock, ownerOf: OwnerOf): void {
    const tally = this.#tally(name);
    const owned = tally.update(block, ownerOf, this.parts.sinceBoot());
    this.#entries.set(name, block.entries);
    const limit = set.sizeOf(trigger) * FULL;
    if (block.entries <= limit && block.dropped === 0) return;
    this.#full.set(trigger, owned > limit / 2 && set.canEnlarge(trigger) ? 'enlarge' : 'clear');
  }

  #tally(name: TallyName): Tally {
    const tally = this.tallies.get(name) ?? new Tally();
    this.tallies.set(name, tally);
    return tally;
  }

  /** Moves the set's drop count to a tally: tallies outlive this backend, sets do not. */
  #keepDrops(set: TracedSet): void {
    const [name] = set.set.triggers.flatMap(({ tally }) => tally ?? []);
    if (name === undefined || set.dropped === 0) return;
    this.#tally(name).addDropped(set.dropped);
    set.dropped = 0;
  }

  /** Clears full maps, follows new threads, and retries missing triggers. */
  async #maintain(set: TracedSet, followed: readonly number[], ownerOf: OwnerOf): Promise<void> {
    const full = set.installed.filter(({ trigger }) => this.#full.has(trigger));
    const mustInstall =
      set.isBroken ||
      set.isOutdated(followed) ||
      (set.isMissing && this.#ticks % RETRY_TICKS === 0) ||
      full.some(({ trigger }) => this.#full.get(trigger) === 'enlarge' || trigger.variables !== undefined);
    if (!mustInstall && full.length === 0) return;
    for (const event of eventsOf(set)) this.#readEvent(event, ownerOf);
    set.isBusy = true;
    try {
      if (mustInstall) await this.#installAnew(set, followed);
      else for (const { trigger, event, spec } of full) await this.#clear(set, trigger, event, spec);
    } finally {
      set.isBusy = false;
      for (const { trigger } of full) this.#full.delete(trigger);
    }
  }

  async #installAnew(set: TracedSet, followed: readonly number[]): Promise<void> {
    await set.remove();
    for (const trigger of set.set.triggers) {
      if (this.#full.get(trigger) === 'enlarge') set.enlarge(trigger);
      if (trigger.tally !== undefined) this.tallies.get(trigger.tally)?.restart();
    }
    await set.install(followed);
  }

  async #clear(set: TracedSet, trigger: Trigger, event: string, spec: string): Promise<void> {
    try {
      await this.#instance.clear(event, spec);
      if (trigger.tally !== undefined) this.tallies.get(trigger.tally)?.restart();
    } catch (error) {
      set.isBroken = true;
      set.problems.push(sourceError(error, event));
    }
  }
}

function eventsOf({ installed }: TracedSet): string[] {
  return [
    ...new Set(installed.flatMap(({ trigger, event }) => (trigger.tally === undefined ? [] : [event]))),
  ];
}
