import { append } from '../../kernel/maps.ts';
import { SourceError, sourceError } from '../../probes/errors.ts';
import type { SetReading } from '../model/trace-reading.ts';
import { ActiveTime } from './active-time.ts';
import type { TraceInstance } from './instance.ts';
import { type MapDependencies, SetMaps } from './set-maps.ts';
import { type Installed, SetTriggers } from './set-triggers.ts';
import { TRACE_SETS, type TraceSetName } from './sets.ts';
import type { TraceSet } from './trigger.ts';

export interface SetDependencies extends MapDependencies {
  readonly instance: TraceInstance;
  /** Milliseconds of a monotonic clock. */
  now(): number;
}

/** One tracepoint set in an instance: installs its triggers, reads their maps and keeps them from filling up. */
export class TracedSet {
  readonly #set: TraceSet;
  readonly #instance: TraceInstance;
  readonly #triggers: SetTriggers;
  readonly #maps: SetMaps;
  readonly #active: ActiveTime;
  readonly #now: () => number;
  /** Events whose trigger was missing at the last reading. */
  readonly #missing = new Set<string>();
  #isUncleared = false;
  readonly #readFailures = new Map<string, SourceError[]>();
  /** Each event since the last reading stands for so many. */
  #weight = 1;
  /** Whether the set is off in this second, because it counts in some seconds only. */
  #isShut = false;
  #measured: { readonly at: number; readonly hits: ReadonlyMap<number, number> } | undefined;
  #rate = 0;
  /** Maps and triggers are being changed, so their content must not be counted now. */
  #isChanging = false;

  constructor(
    private readonly name: TraceSetName,
    dependencies: SetDependencies,
  ) {
    const { instance, isa, now } = dependencies;
    this.#now = now;
    this.#set = TRACE_SETS[name];
    this.#instance = instance;
    this.#maps = new SetMaps(this.#set.triggers, dependencies);
    const sizeOf = this.#maps.sizeOf.bind(this.#maps);
    this.#triggers = new SetTriggers(name, this.#set, instance, isa, sizeOf);
    this.#active = new ActiveTime(now);
  }

  /** The reasons why parts of the set do not count. */
  get problems(): readonly SourceError[] {
    return [...this.#triggers.problems, ...[...this.#readFailures.values()].flat()];
  }

  /** undefined if none of its triggers is installed. */
  get reading(): SetReading | undefined {
    if (this.#triggers.installed.length === 0 && !this.#isShut) return undefined;
    const { entries, dropped } = this.#maps;
    const reading = { set: this.name, entries, dropped, activeRatio: this.#active.ratio };
    if (this.isDutyCycled) return reading;
    // A window lasts a second.
    const windowEvery = this.#weight > 1 ? this.#weight : undefined;
    return { ...reading, sampledRatio: 1 / this.#weight, windowEvery };
  }

  /** Its windows depend on the budget only, and its counts are not weighted. */
  get isDutyCycled(): boolean {
    return this.#set.dutyCycled === true;
  }

  /** Events per second of the thread that has most, as of the last `measure`. */
  get rate(): number {
    return this.#rate;
  }

  /** Measures `rate` since the last call, or since the set began to count. */
  measure(): void {
    if (this.#isShut) return;
    for (const event of this.events) this.read(event);
    const [before, hits, at] = [this.#measured, this.#maps.hits, this.#now()];
    this.#measured = { at, hits };
    if (before === undefined || at <= before.at) return;
    const grown = (tid: number, count: number): number => {
      const last = before.hits.get(tid) ?? 0;
      return count < last ? count : count - last;
    };
    const most = [...hits].reduce((max, [tid, count]) => Math.max(max, grown(tid, count)), 0);
    this.#rate = (most * 1000) / (at - before.at);
  }

  /**
   * Counts in this second or not.
   *
   * @param weight how many seconds a second in which it counts stands for
   */
  async setSecond(isOpen: boolean, weight: number, followed: readonly number[]): Promise<void> {
    if (!isOpen && !this.#isShut) await this.#shut();
    else if (weight !== this.#weight) this.measure();
    this.#weight = weight;
    if (!isOpen || !this.#isShut) return;
    this.#isShut = false;
    await this.install(followed);
  }

  /** @param followed threads of VMs on the I/O path */
  async install(followed: readonly number[]): Promise<void> {
    this.#missing.clear();
    this.#isUncleared = false;
    this.#readFailures.clear();
    await this.#triggers.install(followed);
    this.#measured = { at: this.#now(), hits: new Map() };
    this.#active.begin();
    if (!this.isDutyCycled && this.#triggers.installed.length > 0) this.#active.resume();
  }

  /** Call when the instance and everything in it are gone. */
  forget(): void {
    this.#triggers.forget();
    this.#isShut = false;
    this.#active.pause();
  }

  /**
   * Opens or closes the window of a duty-cycled set. If its maps fill up, a window that stays open is created
   * again.
   *
   * @param renews create the window again in any case
   */
  async setWindow(isOpen: boolean, renews: boolean): Promise<void> {
    if (!this.isDutyCycled) return;
    if (!isOpen || renews || this.#set.triggers.some(({ fills }) => fills === true)) await this.#close();
    if (!isOpen) return;
    await this.#triggers.open();
    if (this.#triggers.window.length > 0) this.#active.resume();
  }

  /** The events whose maps are counted. */
  get events(): ReadonlySet<string> {
    return new Set(this.#counting.map(({ event }) => event));
  }

  /** Adds the counts of an event to the tallies. */
  read(event: string): void {
    if (this.#isChanging) return;
    this.#readFailures.delete(event);
    this.#missing.delete(event);
    try {
      const blocks = this.#instance.read(event);
      for (const each of this.#counting) {
        if (each.event !== event || this.#maps.take(each.trigger, blocks, this.#weight)) continue;
        this.#missing.add(event);
        this.#fail(event, new SourceError('failed', event, 'another program removed our trigger'));
      }
    } catch (error) {
      this.#fail(event, sourceError(error, event));
    }
  }

  /**
   * Clears or enlarges full maps, follows new threads, and replaces missing triggers.
   *
   * @param isRetryDue try again if no tracepoint of the set was available
   */
  async maintain(followed: readonly number[], isRetryDue: boolean): Promise<void> {
    if (this.#isShut) return;
    // Do not install a set again for a trigger that was only late: events during the installation are lost.
    for (const event of [...this.#missing]) this.read(event);
    const remedies = this.#triggers.installed.map((each) => this.#maps.remedyOf(each.trigger));
    const full = this.#triggers.installed.filter((_, i) => remedies[i] !== undefined);
    const mustInstall =
      this.#missing.size > 0 ||
      this.#isUncleared ||
      this.#triggers.isOutdated(followed) ||
      (this.#triggers.isMissing && isRetryDue) ||
      remedies.includes('replace');
    if (!mustInstall && full.length === 0) return;
    for (const event of this.events) this.read(event);
    this.#isChanging = true;
    try {
      if (mustInstall) await this.#reinstall(followed);
      else for (const each of full) await this.#clear(each);
    } finally {
      this.#isChanging = false;
    }
  }

  /** Installed triggers whose maps are counted. */
  get #counting(): readonly Installed[] {
    return this.#triggers.installed.filter(({ trigger }) => trigger.tally !== undefined);
  }

  #fail(event: string, failure: SourceError): void {
    append(this.#readFailures, event, failure);
  }

  async #reinstall(followed: readonly number[]): Promise<void> {
    await this.#close();
    this.#active.pause();
    await this.#triggers.remove();
    this.#maps.replaceAll();
    await this.install(followed);
  }

  /** The triggers cost nothing until they are installed again, with empty maps. */
  async #shut(): Promise<void> {
    this.measure();
    this.#active.pause();
    this.#isShut = true;
    await this.#triggers.remove();
    this.#maps.replaceAll();
  }

  async #clear({ trigger, event, line }: Installed): Promise<void> {
    try {
      await this.#instance.clear(event, line);
      this.#maps.restart(trigger);
    } catch (error) {
      this.#isUncleared = true;
      this.#triggers.report(sourceError(error, event));
    }
  }

  async #close(): Promise<void> {
    const { window } = this.#triggers;
    if (window.length === 0) return;
    this.#active.pause();
    for (const each of window) if (each.trigger.fills === true) this.#takeDrops(each);
    await this.#triggers.close();
  }

  #takeDrops({ trigger, event }: Installed): void {
    try {
      this.#maps.takeDrops(trigger, this.#instance.read(event));
    } catch (error) {
      this.#triggers.report(sourceError(error, event));
    }
  }
}
