import type { Libbpf, Pointer } from './libbpf.ts';
import { failure } from './object-file.ts';

// probes/bpf/trace.h
const PROGRAMS = 4;
export const LONGEST_PERIOD = 65_536;
const SHARE = 4 * PROGRAMS;
const WINDOW = SHARE + 4;
const CONTROL = WINDOW + 4;
const EVENTS = 16;
const PASSED = 24;
const DROPPED = 32;

/** Counts of a program on one CPU. */
export interface Gate {
  /** Events, as of the last one in the sample. */
  readonly events: number;
  /** Events in the sample. */
  readonly passed: number;
  /** Events without room in a map. */
  readonly dropped: number;
}

/** The share of its events that an object counts. */
export interface Control {
  /** By program: one event in so many goes on. A missing one is 1: every event. */
  readonly periods: readonly number[];
  /** The programs are attached in one of so many intervals: each event weighs as many. */
  readonly share: number;
  /** Number of the window. A measurement that began in another window has no end in this one. */
  readonly window: number;
}

/** The gates of an object's programs: one event in `period` goes on, chosen at random. */
export class Gates {
  readonly #gates: number;
  readonly #control: number;
  readonly #size: number;
  readonly #cpus: number;
  readonly #key = Buffer.alloc(4);
  readonly #values: Buffer;
  readonly #wanted = Buffer.alloc(CONTROL);

  constructor(
    private readonly libbpf: Libbpf,
    gates: Pointer,
    control: Pointer,
    private readonly title: string,
  ) {
    this.#gates = libbpf.mapDescriptor(gates);
    this.#control = libbpf.mapDescriptor(control);
    this.#size = libbpf.valueSize(gates);
    this.#cpus = libbpf.possibleCpus();
    this.#values = Buffer.alloc(Math.max(0, this.#cpus) * this.#size);
    if (this.#cpus <= 0) throw failure(libbpf, title);
  }

  /** A program's gates by CPU. @throws SourceError */
  read(program: number): Gate[] {
    this.#key.writeUInt32LE(program);
    if (this.libbpf.lookUpElement(this.#gates, this.#key, this.#values) < 0)
      throw failure(this.libbpf, this.title);
    return Array.from({ length: this.#cpus }, (_, cpu) => {
      const at = cpu * this.#size;
      return {
        events: this.#u64(at + EVENTS),
        passed: this.#u64(at + PASSED),
        dropped: this.#u64(at + DROPPED),
      };
    });
  }

  /** @throws SourceError */
  set({ periods, share, window }: Control): void {
    for (let i = 0; i < PROGRAMS; i++)
      this.#wanted.writeUInt32LE(Math.min(LONGEST_PERIOD, Math.max(1, periods[i] ?? 1)), 4 * i);
    this.#wanted.writeUInt32LE(share, SHARE);
    this.#wanted.writeUInt32LE(window, WINDOW);
    this.#key.writeUInt32LE(0);
    if (this.libbpf.updateElement(this.#control, this.#key, this.#wanted) < 0)
      throw failure(this.libbpf, this.title);
  }

  #u64(at: number): number {
    return this.#values.readUInt32LE(at) + this.#values.readUInt32LE(at + 4) * 2 ** 32;
  }
}
