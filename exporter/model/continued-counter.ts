import { getOrInsert } from '../../kernel/maps.ts';
/** Readings of a counter by part: a vCPU, a path of a disk, or `''` if there is only one reading. */
export type Addends = Iterable<readonly [part: string, reading: number]>;

/**
 * The meaning of a reading that falls. `restarting`: the source restarted. `wavering`: nothing, because the
 * reading is the difference of two counts that are read one after the other.
 */
export type ReadingKind = 'restarting' | 'wavering';

interface Source {
  /** The last reading of each part. A part that disappears and returns continues from it. */
  readonly last: Map<string, number>;
  /** Sum of the parts. A restart does not lower it. */
  sum: number;
  /** `sum` + `offset` is the counter's value. */
  offset: number;
}

/**
 * A counter that never falls or jumps, although its readings are a sum or come from several sources.
 *
 * The first source sets the value. When another source takes over, the value continues and grows by that
 * source's growth. A source that returns is credited with its growth while it was away, minus the growth that
 * the other sources reported in that time. A new part counts in full; a missing part keeps its last reading.
 * If a reading falls below half of the last one, the source restarted: the count in between is unknown and
 * not credited. A reading that fell by less is stale or wavers, and is ignored.
 */
export class ContinuedCounter {
  readonly #sources = new Map<string, Source>();
  #current: Source | undefined;
  #value = 0;

  constructor(private readonly kind: ReadingKind = 'restarting') {}

  take(name: string, parts: Addends): number {
    let source = this.#sources.get(name);
    const isNew = source === undefined;
    if (source === undefined) {
      source = { last: new Map(), sum: 0, offset: 0 };
      this.#sources.set(name, source);
    }
    for (const [part, reading] of parts) take(source, part, reading, this.kind);
    if (isNew && this.#current !== undefined) source.offset = this.#value - source.sum;
    this.#value = Math.max(this.#value, source.sum + source.offset);
    if (this.#current !== source) {
      source.offset = this.#value - source.sum;
      this.#current = source;
    }
    return this.#value;
  }
}

function take(source: Source, part: string, reading: number, kind: ReadingKind): void {
  const before = source.last.get(part);
  if (before === undefined) source.sum += reading;
  else if (reading >= before) source.sum += reading - before;
  else if (kind === 'wavering' || reading >= before / 2) return;
  source.last.set(part, reading);
}

/** The counters of one subject, by name. */
export class CounterSet {
  #counters = new Map<string, ContinuedCounter>();
  #used = new Map<string, ContinuedCounter>();

  constructor(private readonly kind: ReadingKind = 'restarting') {}

  take(name: string, source: string, parts: Addends): number {
    const counter = getOrInsert(this.#counters, name, () => new ContinuedCounter(this.kind));
    this.#used.set(name, counter);
    return counter.take(source, parts);
  }

  one(name: string, source: string, reading: number): number {
    return this.take(name, source, [['', reading]]);
  }

  /** Forgets the counters that were not used since the last call: their source may restart from zero. */
  forgetUnused(): void {
    this.#counters = this.#used;
    this.#used = new Map();
  }
}

/** The counters of subjects that come and go, such as VMs. */
export class CounterSets {
  readonly #sets = new Map<string, CounterSet>();

  of(subject: string): CounterSet {
    return getOrInsert(this.#sets, subject, () => new CounterSet());
  }

  /** Forgets all other subjects. */
  keep(subjects: Iterable<string>): void {
    const kept = new Set(subjects);
    for (const subject of this.#sets.keys()) if (!kept.has(subject)) this.#sets.delete(subject);
  }
}
