import { getOrInsert } from '../../kernel/maps.ts';
/**
 * sfc32: small, fast, and the same on every machine. It is the only source of random numbers of the simulated
 * host.
 * @see https://pracrand.sourceforge.net/RNG_engines.txt
 */
export class Random {
  #a: number;
  #b = 0x9e3779b9;
  #c = 0x243f6a88;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** From 0 up to, but not including, 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  }

  /** A factor around 1: up to `spread` more or less, 1 on average. */
  around(spread: number): number {
    return 1 + (this.next() * 2 - 1) * spread;
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }
}

/** An integer counter that takes fractional amounts. It carries the remainder over to the next call. */
export class Meter {
  value = 0;
  #rest = 0;

  /** @returns by how much the counter grew */
  add(amount: number): number {
    const all = this.#rest + amount;
    const whole = Math.floor(all);
    this.#rest = all - whole;
    this.value += whole;
    return whole;
  }
}

/** One meter per name, created on first use. */
export class Meters {
  readonly #meters = new Map<string, Meter>();

  add(name: string, amount: number): number {
    return getOrInsert(this.#meters, name, () => new Meter()).add(amount);
  }

  value(name: string): number {
    return this.#meters.get(name)?.value ?? 0;
  }
}
