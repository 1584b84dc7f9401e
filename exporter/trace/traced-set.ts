import { SourceError, sourceError } from '../../probes/errors.ts';
import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Isa } from '../model/io-path.ts';
import type { TraceInstance } from './instance.ts';
import { blockOf, TRACE_SETS, type TraceSet, type TraceSetName, type Trigger, triggerSpec } from './sets.ts';

/** A trigger's filter must fit into the one page that the kernel allocates for it. */
const MAX_FOLLOWED = 128;
const MAX_SIZE = 131_072;

/** An installed trigger. */
export interface Installed {
  readonly trigger: Trigger;
  readonly event: string;
  readonly spec: string;
}

/** One tracepoint set in an instance: which of its triggers are installed, and since when. */
export class TracedSet {
  readonly set: TraceSet;
  /** The reasons why parts of the set do not count. */
  problems: SourceError[] = [];
  /** Events that were dropped because the map of a window was full. */
  dropped = 0;
  /** Another program removed one of its triggers. */
  isBroken = false;
  /** Its maps and triggers are being changed, so their content must not be counted now. */
  isBusy = false;
  readonly #sizes = new Map<Trigger, number>();
  #lasting: Installed[] = [];
  #window: Installed[] = [];
  #followed = '';
  #isDefined = false;
  #since: number | undefined;
  #activeMs = 0;
  #activeSince: number | undefined;

  /** @param now milliseconds of a monotonic clock */
  constructor(
    readonly name: TraceSetName,
    private readonly instance: TraceInstance,
    private readonly isa: Isa,
    private readonly now: () => number,
  ) {
    this.set = TRACE_SETS[name];
  }

  get installed(): readonly Installed[] {
    return [...this.#lasting, ...this.#window];
  }

  /** Share of the time since its first installation in which the set counted. */
  get activeRatio(): number {
    if (this.#since === undefined) return 0;
    const now = this.now();
    const active = this.#activeMs + (this.#activeSince === undefined ? 0 : now - this.#activeSince);
    return now > this.#since ? Math.min(1, active / (now - this.#since)) : 0;
  }

  /** Whether none of its tracepoints is available. */
  get isMissing(): boolean {
    return this.problems.length > 0 && this.#lasting.every(({ event }) => event.startsWith('synthetic/'));
  }

  sizeOf(trigger: Trigger): number {
    return this.#sizes.get(trigger) ?? trigger.size;
  }

  /** The histogram of one of its triggers. */
  blockOf(blocks: readonly HistBlock[], trigger: Trigger): HistBlock | undefined {
    return blockOf(blocks, trigger, this.isa);
  }

  /** Doubles the map of a trigger at the next installation. */
  enlarge(trigger: Trigger): void {
    this.#sizes.set(trigger, Math.min(MAX_SIZE, this.sizeOf(trigger) * 2));
  }

  canEnlarge(trigger: Trigger): boolean {
    return this.sizeOf(trigger) < MAX_SIZE;
  }

  /** Whether its filters name other threads than `followed`. */
  isOutdated(followed: readonly number[]): boolean {
    return isPerThread(this.set) && this.#followed !== followed.join();
  }

  /** Call when the instance and everything in it are gone. */
  forget(): void {
    this.#lasting = [];
    this.#window = [];
    this.#isDefined = false;
    this.#stopClock();
  }

  /**
   * Installs its triggers, except those of a window. Triggers that are not available are reported in
   * `problems`.
   */
  async install(followed: readonly number[]): Promise<void> {
    this.problems = [];
    this.isBroken = false;
    this.#followed = followed.join();
    if (isPerThread(this.set) && !this.#hasRoomFor(followed.length)) return;
    if (!(await this.#define())) return;
    this.#lasting = await this.#add(false, followed);
    this.#since ??= this.now();
    if (this.set.dutyCycled !== true && this.#lasting.length > 0) this.#activeSince ??= this.now();
  }

  async remove(): Promise<void> {
    await this.close();
    const lasting = this.#lasting;
    this.#lasting = [];
    this.#stopClock();
    await this.#takeAway(lasting);
  }

  /**
   * Opens a window. The triggers with variables start with empty maps, so no time stamp is older than the
   * window.
   */
  async open(followed: readonly number[]): Promise<void> {
    if (this.#window.length > 0 || this.#lasting.length === 0) return;
    this.#window = await this.#add(true, followed);
    if (this.#window.length > 0) this.#activeSince ??= this.now();
  }

  async close(): Promise<void> {
    if (this.#window.length === 0) return;
    this.#stopClock();
    for (const { trigger, event } of this.#window)
      if (trigger.fills === true) this.#noteDrops(trigger, event);
    const window = this.#window;
    this.#window = [];
    await this.#takeAway(window);
  }

  /** In a duty-cycled set, the triggers that cost something at each event. */
  #isOfWindow(trigger: Trigger): boolean {
    return this.set.dutyCycled === true && !trigger.event.startsWith('synthetic/');
  }

  #stopClock(): void {
    if (this.#activeSince !== undefined) this.#activeMs += this.now() - this.#activeSince;
    this.#activeSince = undefined;
  }

  #hasRoomFor(threads: number): boolean {
    if (threads > MAX_FOLLOWED) {
      const reason = `${threads} VM threads, and its filter has room for ${MAX_FOLLOWED}: not traced`;
      this.#note(new SourceError('too_large', `trace set ${this.name}`, reason));
    }
    return threads > 0 && threads <= MAX_FOLLOWED;
  }

  async #define(): Promise<boolean> {
    try {
      for (const [name, fields] of Object.entries(this.set.synthetic ?? {})) {
        if (!this.#isDefined) await this.instance.define(name, fields);
      }
      this.#isDefined = true;
      return true;
    } catch (error) {
      this.#note(sourceError(error, `trace set ${this.name}`));
      return false;
    }
  }

  /** If a trigger fails, only the triggers that depend on it are skipped. */
  async #add(ofWindow: boolean, followed: readonly number[]): Promise<Installed[]> {
    const added: Installed[] = [];
    const failed = new Set<string>();
    for (const trigger of this.set.triggers) {
      if (this.#isOfWindow(trigger) !== ofWindow || (trigger.x86 === true && this.isa === 'arm64')) continue;
      if (trigger.after !== undefined && failed.has(trigger.after)) continue;
      const { syntheticPrefix } = this.instance;
      const event = trigger.event.replace('@', syntheticPrefix);
      const { spec, fields } = triggerSpec(trigger, {
        syntheticPrefix,
        isa: this.isa,
        size: this.sizeOf(trigger),
        followed,
      });
      try {
        this.instance.checkEvent(event, fields);
        await this.#addAnew(event, spec);
        added.push({ trigger, event, spec });
      } catch (error) {
        failed.add(trigger.event);
        this.#note(sourceError(error, event));
      }
    }
    return added;
  }

  /** A trigger whose removal failed still exists, with its counts. Replace it. */
  async #addAnew(event: string, spec: string): Promise<void> {
    try {
      await this.instance.add(event, spec);
    } catch (error) {
      if (!(error instanceof SourceError) || error.code !== 'EEXIST') throw error;
      await this.instance.remove(event, spec);
      await this.instance.add(event, spec);
    }
  }

  #noteDrops(trigger: Trigger, event: string): void {
    try {
      this.dropped += this.blockOf(this.instance.read(event), trigger)?.dropped ?? 0;
    } catch (error) {
      this.#note(sourceError(error, event));
    }
  }

  /** Reports each problem once, not once per window. */
  #note(problem: SourceError): void {
    if (!this.problems.some(({ message }) => message === problem.message)) this.problems.push(problem);
  }

  /**
   * Removes in reverse order, as later triggers depend on earlier ones. A missing trigger is not an error.
   */
  async #takeAway(installed: readonly Installed[]): Promise<void> {
    for (const { event, spec } of [...installed].reverse()) {
      await this.instance.remove(event, spec).catch(() => undefined);
    }
  }
}

function isPerThread({ triggers }: TraceSet): boolean {
  return triggers.some(({ perThread }) => perThread !== undefined);
}
