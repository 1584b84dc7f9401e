import type { NotifyWrite } from './io-path.ts';

/** A guest can write to any address, so the indexes are limited: all further virtqueues share `other`. */
const MAX_QUEUES = 64;
const OTHER = 'other';

/**
 * Gives the virtqueues of one VM small numbers, by notify address. A number never changes. Queues that are
 * found together are numbered in the order of their addresses, which is the order of a device's queues.
 */
export class Queues {
  readonly #indexes = new Map<number, string>();

  observe(writes: readonly NotifyWrite[]): void {
    const fresh = new Set(writes.map(addressOf).filter((address) => !this.#indexes.has(address)));
    for (const address of [...fresh].sort((a, b) => a - b)) {
      if (this.#indexes.size < MAX_QUEUES) this.#indexes.set(address, String(this.#indexes.size));
    }
  }

  indexOf(write: NotifyWrite): string {
    return this.#indexes.get(addressOf(write)) ?? OTHER;
  }

  /** The address is hexadecimal. That of a port has the prefix `port `. */
  get known(): { index: string; address: string; number: number; isPort: boolean }[] {
    return [...this.#indexes].map(([address, index]) => ({
      index,
      number: Math.abs(address),
      isPort: address < 0,
      address: address < 0 ? `port 0x${(-address).toString(16)}` : `0x${address.toString(16)}`,
    }));
  }
}

/** Ports and addresses share one number space: ports are negative. */
function addressOf({ event, address }: NotifyWrite): number {
  return event === 'kvm_pio' ? -address : address;
}
