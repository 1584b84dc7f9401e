import type { NotifyWrite } from './io-path.ts';

/** A guest can write where it likes: virtqueues beyond these share one index. */
const MAX_QUEUES = 64;
const OTHER = 'other';

/**
 * Small numbers for the virtqueues of one VM, by the address at which they are notified. A number is given once and
 * kept; those that are met together have them in order of the address, in which a device's queues lie.
 */
export class Queues {
  readonly #indexes = new Map<number, string>();

  meet(writes: readonly NotifyWrite[]): void {
    const fresh = new Set(writes.map(addressOf).filter((address) => !this.#indexes.has(address)));
    for (const address of [...fresh].sort((a, b) => a - b)) {
      if (this.#indexes.size < MAX_QUEUES) this.#indexes.set(address, String(this.#indexes.size));
    }
  }

  indexOf(write: NotifyWrite): string {
    return this.#indexes.get(addressOf(write)) ?? OTHER;
  }

  /** Address as hexadecimal number; a port has four digits and comes with `port `. */
  get known(): { index: string; address: string; number: number; isPort: boolean }[] {
    return [...this.#indexes].map(([address, index]) => ({
      index,
      number: Math.abs(address),
      isPort: address < 0,
      address: address < 0 ? `port 0x${(-address).toString(16)}` : `0x${address.toString(16)}`,
    }));
  }
}

/** Ports and addresses in one space: a port is negative. */
function addressOf({ event, address }: NotifyWrite): number {
  return event === 'kvm_pio' ? -address : address;
}
