/** Readings of a counter, by what they belong to: a vCPU, a path of a disk, `''` where there is nothing to add up. */
export type Parts = Iterable<readonly [part: string, reading: number]>;

/**
 * What a reading that falls means: that its source began anew, or, of a difference of two counts that are read one after
 * the other, nothing.
 */
export type ReadingKind = 'restarting' | 'wavering';

interface Source {
  /** The last reading of each part; what is away for a while goes on from there. */
  readonly last: Map<string, number>;
  /** What its readings add up to, restarts left out. */
  sum: number;
  /** Added to `sum` it is the counter's value. */
  offset: number;
}

/**
 * A counter that never falls, and does not jump, where its readings are a sum or come from several sources.
 *
 * The first source gives the value; another one goes on from there by its own growth. A source that comes back is
 * credited with what it grew by meanwhile, less what others told in that time. A part that is new counts whole; one that
 * is away keeps what it had. A reading that fell below half of what it was began anew: what it counted in between is not
 * known and not credited. One that fell by less is older than the last, or wavers, and is passed over.
 */
export class ContinuedCounter {
  readonly #sources = new Map<string, Source>();
  #current: Source | undefined;
  #value = 0;

  constructor(private readonly kind: ReadingKind = 'restarting') {}

  take(name: string, parts: Parts): number {
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

  take(name: string, source: string, parts: Parts): number {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      counter = new ContinuedCounter(this.kind);
      this.#counters.set(name, counter);
    }
    this.#used.set(name, counter);
    return counter.take(source, parts);
  }

  one(name: string, source: string, reading: number): number {
    return this.take(name, source, [['', reading]]);
  }

  /** Forgets counters that were not used since: what counts them may begin from nothing. */
  forgetUnused(): void {
    this.#counters = this.#used;
    this.#used = new Map();
  }
}

/** The counters of subjects that come and go, such as VMs. */
export class CounterSets {
  readonly #sets = new Map<string, CounterSet>();

  of(subject: string): CounterSet {
    let set = this.#sets.get(subject);
    if (set === undefined) {
      set = new CounterSet();
      this.#sets.set(subject, set);
    }
    return set;
  }

  /** Forgets all others. */
  keep(subjects: Iterable<string>): void {
    const kept = new Set(subjects);
    for (const subject of this.#sets.keys()) if (!kept.has(subject)) this.#sets.delete(subject);
  }
}
