import { getOrInsert } from '../../kernel/maps.ts';
import { valueEnd } from './labels.ts';

/** Owner of a series: the escaped label `vm="web"`, or '' for series of the host. */
export type Owner = string;

export interface Cut {
  readonly owner: Owner;
  readonly dropped: number;
}

interface Account {
  wanted: number;
  kept: number;
}

export interface Levels {
  readonly host: number;
  readonly vm: number;
  /** Number of VMs that get one series more: the remainder of the division. */
  readonly spare: number;
}

const NO_LIMIT: Levels = { host: Number.POSITIVE_INFINITY, vm: Number.POSITIVE_INFINITY, spare: 0 };

const PREFIX = 'vm="';

/** The label `vm`, which always comes first if present. */
export function ownerOf(labels: string): Owner {
  if (!labels.startsWith(PREFIX)) return '';
  return labels.slice(0, valueEnd(labels, PREFIX.length) + 1);
}

/**
 * The highest limit per VM at which the total fits the room. A VM below the limit leaves room to the others, so only
 * the VMs with the highest demand are cut.
 */
export function fairShare(demands: readonly number[], room: number): number {
  const ascending = Float64Array.from(demands).sort();
  let left = room;
  for (const [i, demand] of ascending.entries()) {
    const share = left / (ascending.length - i);
    if (demand > share) return Math.floor(share);
    left -= demand;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * Distributes the room for series among VMs. The host goes first: it gets up to half, plus what the VMs
 * leave.
 */
export class Shares {
  readonly #accounts = new Map<Owner, Account>();
  #levels = NO_LIMIT;
  #kept = 0;
  #weighAt = 0;

  constructor(private readonly room: number) {}

  /** Series of all owners that are currently kept. */
  get kept(): number {
    return this.#kept;
  }

  get dropped(): number {
    return this.cuts.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** Owners that lost series. */
  get cuts(): Cut[] {
    return [...this.#accounts]
      .map(([owner, { wanted, kept }]) => ({ owner, dropped: wanted - kept }))
      .filter(({ dropped }) => dropped > 0);
  }

  /** Counts series that were accepted before sharing started. */
  count(owner: Owner, size: number): void {
    const account = this.#account(owner);
    account.wanted += size;
    account.kept += size;
    this.#kept += size;
  }

  /**
   * Whether `size` more series of this owner may be kept. Lenient while not all demands are known; {@link
   * weigh} is exact.
   */
  admits(owner: Owner, size: number): boolean {
    const account = this.#account(owner);
    account.wanted += size;
    if (this.#kept >= this.#weighAt) this.weigh();
    const { host, vm, spare } = this.#levels;
    if (account.kept + size > (owner === '' ? host : vm + Math.min(spare, 1))) return false;
    account.kept += size;
    this.#kept += size;
    return true;
  }

  /** Limits for the host and per VM, from all demands so far. They only decrease. */
  weigh(): Levels {
    this.#weighAt = this.#kept + this.room / 16;
    const host = this.#accounts.get('')?.wanted ?? 0;
    const vms = [...this.#accounts].flatMap(([owner, { wanted }]) => (owner === '' ? [] : [wanted]));
    const ofVms = vms.reduce((sum, wanted) => sum + wanted, 0);
    const ofHost = Math.max(Math.floor(this.room / 2), this.room - ofVms);
    const left = this.room - Math.min(host, ofHost);
    const vm = fairShare(vms, left);
    const given = vms.reduce((sum, wanted) => sum + Math.min(wanted, vm), 0);
    this.#levels = { host: ofHost, vm, spare: Number.isFinite(vm) ? left - given : 0 };
    return this.#levels;
  }

  /** Call after the series above the limits were removed. */
  recount(kept: ReadonlyMap<Owner, number>): void {
    this.#kept = 0;
    for (const [owner, account] of this.#accounts) {
      account.kept = kept.get(owner) ?? 0;
      this.#kept += account.kept;
    }
    this.#weighAt = this.#kept + this.room / 16;
  }

  copy(): Shares {
    const copy = new Shares(this.room);
    for (const [owner, account] of this.#accounts) copy.#accounts.set(owner, { ...account });
    copy.#levels = this.#levels;
    copy.#kept = this.#kept;
    copy.#weighAt = this.#weighAt;
    return copy;
  }

  #account(owner: Owner): Account {
    return getOrInsert(this.#accounts, owner, () => ({ wanted: 0, kept: 0 }));
  }
}
