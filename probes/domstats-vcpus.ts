import { withRoom } from '../kernel/floats.ts';
import { copyOf, domstatsNumber } from './domstats-values.ts';
import type { StatisticType } from './qmp-stats.ts';
import { type RowNames, SharedRow } from './shared-rows.ts';

/** KVM's statistics of one domain. */
export interface VcpuStatistics {
  /** By vCPU and name. */
  readonly vcpus: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly types: ReadonlyMap<string, StatisticType>;
}

/** The statistics of a vCPU in the order in which libvirt prints them. */
interface Layout extends RowNames {
  /** `exits.sum=` */
  readonly keys: readonly string[];
  readonly types: ReadonlyMap<string, StatisticType>;
}

/** A layout that differs from those before, while its vCPU is read. */
interface NewLayout {
  readonly all: string[];
  readonly positions: Map<string, number>;
  readonly keys: string[];
  readonly types: Map<string, StatisticType>;
}

interface Row {
  readonly vcpu: number;
  readonly layout: Layout;
  readonly start: number;
  readonly size: number;
}

const TYPE_OF_SUFFIX: Readonly<Record<string, StatisticType>> = {
  sum: 'cumulative',
  cur: 'instant',
  max: 'peak',
};
const LINE = /^ {2}vcpu\.(\d{1,5})\.([a-z][a-z0-9_]{0,63})\.(sum|cur|max)=(.*)$/;
const NO_STATISTICS: Layout = { all: [], positions: new Map(), keys: [], types: new Map() };

/**
 * Reads the lines `  vcpu.0.exits.sum=4423`. libvirt prints the same statistics in the same order for each vCPU, so
 * each line is compared with the expected one, and only its number is stored.
 */
export class VcpuLines {
  readonly #layouts = new Map<string, Layout>();
  #expected = NO_STATISTICS;
  #numbers: Float64Array = new Float64Array(1024);
  #count = 0;
  readonly #rows: Row[] = [];
  /** The vCPU whose lines are read: its number, the beginning of its lines, and where its numbers begin. */
  #vcpu = -1;
  #prefix = '';
  #start = 0;
  #new: NewLayout | undefined;

  /** Reads the line between two positions of a text. */
  line(text: string, from: number, to: number): void {
    const key = this.#new === undefined ? this.#expected.keys[this.#count - this.#start] : undefined;
    const at = from + this.#prefix.length;
    if (key !== undefined && text.startsWith(this.#prefix, from) && text.startsWith(key, at)) {
      const value = domstatsNumber(text, at + key.length, to);
      if (value !== undefined) {
        this.#put(value);
        return;
      }
    }
    const [, index = '', name = '', suffix = '', number = ''] = LINE.exec(text.slice(from, to)) ?? [];
    const value = domstatsNumber(number, 0, number.length);
    if (value === undefined) return;
    if (Number(index) !== this.#vcpu) {
      this.#endRow();
      this.#vcpu = Number(index);
      this.#prefix = `  vcpu.${index}.`;
    }
    this.#add(name, suffix, value);
  }

  /** Ends the domain, and returns what it has. */
  take(): VcpuStatistics {
    this.#endRow();
    const numbers = this.#numbers.slice(0, this.#count);
    const vcpus = new Map<number, ReadonlyMap<string, number>>();
    for (const { vcpu, layout, start, size } of this.#rows) {
      const row = new SharedRow(layout, numbers, start, size);
      const before = vcpus.get(vcpu);
      vcpus.set(vcpu, before === undefined ? row : new Map([...before, ...row]));
    }
    const types = typesOf(new Set(this.#rows.map(({ layout }) => layout)));
    this.#rows.length = 0;
    this.#count = 0;
    this.#start = 0;
    return { vcpus, types };
  }

  #add(name: string, suffix: string, value: number): void {
    const size = this.#count - this.#start;
    const key = `${name}.${suffix}=`;
    if (this.#new === undefined && this.#expected.keys[size] === key) {
      this.#put(value);
      return;
    }
    this.#new ??= beginningOf(this.#expected, size);
    const { all, positions, keys, types } = this.#new;
    const known = positions.get(name);
    if (known !== undefined) {
      this.#numbers[this.#start + known] = value;
      return;
    }
    const own = copyOf(name);
    positions.set(own, all.length);
    all.push(own);
    keys.push(key);
    types.set(own, TYPE_OF_SUFFIX[suffix] ?? 'unknown');
    this.#put(value);
  }

  #put(value: number): void {
    this.#numbers = withRoom(this.#numbers, this.#count);
    this.#numbers[this.#count++] = value;
  }

  #endRow(): void {
    if (this.#new !== undefined) this.#expected = this.#known(this.#new);
    this.#new = undefined;
    if (this.#vcpu >= 0) {
      const size = this.#count - this.#start;
      this.#rows.push({ vcpu: this.#vcpu, layout: this.#expected, start: this.#start, size });
    }
    this.#vcpu = -1;
    this.#prefix = '';
    this.#start = this.#count;
  }

  /** Hosts have few layouts: vCPUs that run other kinds of guests count other things. */
  #known(layout: NewLayout): Layout {
    const id = layout.keys.join();
    const known = this.#layouts.get(id) ?? layout;
    this.#layouts.set(id, known);
    return known;
  }
}

function beginningOf({ all, keys, types }: Layout, size: number): NewLayout {
  const names = all.slice(0, size);
  return {
    all: names,
    positions: new Map(names.map((name, i) => [name, i])),
    keys: keys.slice(0, size),
    types: new Map(names.map((name) => [name, types.get(name) ?? 'unknown'])),
  };
}

function typesOf(layouts: ReadonlySet<Layout>): ReadonlyMap<string, StatisticType> {
  const [first = NO_STATISTICS, ...others] = layouts;
  if (others.length === 0) return first.types;
  const types = new Map(first.types);
  for (const layout of others)
    for (const [name, type] of layout.types) if (!types.has(name)) types.set(name, type);
  return types;
}
