import { SourceError, sourceError } from '../../probes/errors.ts';
import { type Isa, isX86 } from '../model/io-path.ts';
import type { TraceInstance } from './instance.ts';
import type { TraceSet, Trigger } from './trigger.ts';
import { type TriggerText, triggerText } from './trigger-text.ts';

/** A trigger's filter must fit into the one page that the kernel allocates for it. */
const MAX_FOLLOWED = 128;

/** What these events do not show on architectures other than x86 and arm64. */
const UNKNOWN: Readonly<Record<string, string>> = {
  'kvm/kvm_exit': 'exits by reason are not available: on this architecture the event has other fields',
  'kvm/kvm_mmio': 'kicks are not available: on this architecture KVM may have no event for them',
};

/** An installed trigger. */
export interface Installed extends TriggerText {
  readonly trigger: Trigger;
}

/** The triggers of one set in an instance: those that are installed, and why others are not. */
export class SetTriggers {
  readonly #isPerThread: boolean;
  #lasting: readonly Installed[] = [];
  #window: readonly Installed[] = [];
  #followed: readonly number[] = [];
  #isDefined = false;
  readonly #problems = new Map<string, SourceError>();

  /** @param sizeOf entries of a trigger's map */
  constructor(
    private readonly name: string,
    private readonly set: TraceSet,
    private readonly instance: TraceInstance,
    private readonly isa: Isa,
    private readonly sizeOf: (trigger: Trigger) => number,
  ) {
    this.#isPerThread = set.triggers.some(({ perThread }) => perThread !== undefined);
  }

  get installed(): readonly Installed[] {
    return [...this.#lasting, ...this.#window];
  }

  /** The installed triggers of the open window. */
  get window(): readonly Installed[] {
    return this.#window;
  }

  /** The reasons why parts of the set do not count. */
  get problems(): readonly SourceError[] {
    return [...this.#problems.values()];
  }

  /** Whether none of its tracepoints is available. */
  get isMissing(): boolean {
    return this.#problems.size > 0 && this.#lasting.every(({ trigger }) => isSynthetic(trigger));
  }

  /** Whether its filters name other threads than `followed`. */
  isOutdated(followed: readonly number[]): boolean {
    return this.#isPerThread && this.#followed.join() !== followed.join();
  }

  /** Installs all triggers except those of a window. */
  async install(followed: readonly number[]): Promise<void> {
    this.#problems.clear();
    this.#followed = followed;
    if (this.#isPerThread && !this.#hasRoomFor(followed.length)) return;
    if (await this.#define()) this.#lasting = await this.#add(false);
  }

  async remove(): Promise<void> {
    await this.close();
    const lasting = this.#lasting;
    this.#lasting = [];
    await this.#takeAway(lasting);
  }

  /** The triggers of a window start with empty maps, so no time stamp is older than the window. */
  async open(): Promise<void> {
    if (this.#window.length > 0 || this.#lasting.length === 0) return;
    this.#window = await this.#add(true);
  }

  async close(): Promise<void> {
    const window = this.#window;
    this.#window = [];
    await this.#takeAway(window);
  }

  /** Call when the instance and everything in it are gone. */
  forget(): void {
    this.#lasting = [];
    this.#window = [];
    this.#isDefined = false;
  }

  /** Reports a problem once, not once per window. */
  report(problem: SourceError): void {
    this.#problems.set(problem.message, problem);
  }

  #hasRoomFor(threads: number): boolean {
    if (threads > MAX_FOLLOWED) {
      const reason = `not traced: ${threads} VM threads, but the filter of a trigger has room for ${MAX_FOLLOWED}`;
      this.report(new SourceError('too_large', `trace set ${this.name}`, reason));
    }
    return threads > 0 && threads <= MAX_FOLLOWED;
  }

  async #define(): Promise<boolean> {
    if (this.#isDefined) return true;
    try {
      for (const [name, fields] of Object.entries(this.set.synthetic ?? {})) {
        await this.instance.define(name, fields);
      }
      this.#isDefined = true;
    } catch (error) {
      this.report(sourceError(error, `trace set ${this.name}`));
    }
    return this.#isDefined;
  }

  /** If a trigger fails, only the triggers that use its variables are skipped. */
  async #add(ofWindow: boolean): Promise<Installed[]> {
    const added: Installed[] = [];
    const failed = new Set<string>();
    for (const trigger of this.set.triggers) {
      if (this.#isOfWindow(trigger) !== ofWindow || (trigger.x86 === true && !isX86(this.isa))) continue;
      if (trigger.after !== undefined && failed.has(trigger.after)) continue;
      const text = this.#textOf(trigger);
      const unknown =
        this.isa === 'other' && trigger.tally !== undefined ? UNKNOWN[trigger.event] : undefined;
      if (unknown !== undefined)
        this.report(new SourceError('absent', trigger.event, unknown, 'not_in_this_kernel'));
      try {
        this.instance.checkEvent(text.event, text.fields);
        await this.instance.add(text.event, text.line);
        added.push({ trigger, ...text });
      } catch (error) {
        failed.add(trigger.event);
        this.report(sourceError(error, text.event));
      }
    }
    return added;
  }

  /** In a duty-cycled set, the triggers that cost something at each event. */
  #isOfWindow(trigger: Trigger): boolean {
    return this.set.dutyCycled === true && !isSynthetic(trigger);
  }

  #textOf(trigger: Trigger): TriggerText {
    return triggerText(trigger, {
      syntheticPrefix: this.instance.syntheticPrefix,
      isa: this.isa,
      size: this.sizeOf(trigger),
      followed: this.#followed,
    });
  }

  /**
   * Removes in reverse order, as later triggers depend on earlier ones. A missing trigger is not an error.
   */
  async #takeAway(installed: readonly Installed[]): Promise<void> {
    for (const { event, line } of [...installed].reverse()) {
      await this.instance.remove(event, line).catch(() => undefined);
    }
  }
}

function isSynthetic({ event }: Trigger): boolean {
  return event.startsWith('synthetic/');
}
