/** The tally to which a trigger's rows are added. */
export type TallyName =
  | 'exits'
  | 'exitDurations'
  | 'fastMmio'
  | 'mmio'
  | 'mmioWrites'
  | 'mmioInUserSpace'
  | 'pio'
  | 'pioWrites'
  | 'userspaceExits'
  | 'msi'
  | 'injections'
  | 'eois'
  | 'pvEois'
  | 'haltPoll'
  | 'migrations'
  | 'switches'
  | 'blockRequests'
  | 'blockDurations'
  | 'lockContention';

/**
 * A hist trigger. The first key is always the thread's id.
 *
 * @see https://docs.kernel.org/trace/histogram.html
 */
export interface Trigger {
  /** `system/event`; `synthetic/@x` is the set's own synthetic event x. */
  readonly event: string;
  /** With modifiers: `gpa.hex`. */
  readonly keys: readonly string[];
  /** Summed besides the hitcount. */
  readonly value?: string;
  readonly variables?: readonly string[];
  readonly action?: string;
  readonly filter?: string;
  /** Initial number of entries of its map: a power of two from 128 to 131072. */
  readonly size: number;
  /** undefined for a trigger that only feeds another. */
  readonly tally?: TallyName;
  /** Filter term for each followed thread, with the thread id for `%`: the trigger counts VM threads only. */
  readonly perThread?: string;
  /** The event whose trigger sets the variables that this one uses. */
  readonly after?: string;
  /** The event exists on x86 only. */
  readonly x86?: boolean;
  /** Its keys are used only once, so its map fills up. The trigger is created again every second. */
  readonly fills?: boolean;
}

/** Tracepoints that are enabled together. */
export interface TraceSet {
  /** The measurement of the set. */
  readonly help: string;
  /** Rate of its tracepoints and their cost: docs/performance.md has the measurements. */
  readonly cost: string;
  /** Fields of its synthetic events. */
  readonly synthetic?: Readonly<Record<string, string>>;
  readonly triggers: readonly Trigger[];
  /** The set counts only for the share trace.dutyCycle of the time. */
  readonly dutyCycled?: boolean;
}
