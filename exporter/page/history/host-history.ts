import { type Evidence, measuredBetween, queueWait } from '../../assessment/cause/evidence.ts';
import type { HostEvent } from '../../model/host-event.ts';
import type { VmCounters } from '../../model/vm-counters.ts';
import { Yielder } from '../../schedule/yielder.ts';
import { type Condition, noticedIn } from '../browser/conditions.ts';
import { History } from '../browser/history.ts';
import { type Rate, ratesOf, vmRates } from '../browser/rates.ts';
import type { LiveHistory, LiveOverview } from '../live.ts';
import { exitShare, lastMinutes, latencies, minutesOf, rounded } from './points.ts';

const HOUR_MS = 3_600_000;
/** Minimum time between two recorded rounds. */
const STEP_MS = 8000;
/** An hour of rounds that are ten seconds apart, and room for gaps. */
const TICKS = 368;
/** Number of exit reasons: of a round, and of an hour, where the first frequent ones get a series. */
const [TOP_REASONS, MAX_REASONS] = [8, 12];
/**
 * Series of a usual VM: eight rates, the CPU time of its roles, up to 14 possible causes of slow I/O, and its exit
 * reasons.
 */
const ROOM = 34;
/** Each costs up to {@link TICKS} times {@link ROOM} values of 4 bytes: 49 KiB. More VMs have no history. */
export const MAX_VMS = 500;
/** A condition that was not found in this many rounds has ended. */
const ROUNDS = 3;
/** Exits are timed in windows. This period has at least one. */
const TIMED_MS = 30_000;
/** The series of the overview. */
const IN_OVERVIEW = ['iops', 'exits', 'p99'] as const;

const EVENTS = {
  'exit storm': ['storm_began', 'storm_ended'],
  stalled: ['stall_began', 'stall_ended'],
} as const;
type Noticed = keyof typeof EVENTS;

interface Known {
  readonly pid: string;
  /** Rounds of the last half minute, oldest first. */
  readonly counters: VmCounters[];
  /** Evidence of the last round. */
  evidence: Evidence | undefined;
  /** Rounds since each condition was found last. */
  readonly conditions: Map<Noticed, number>;
}

export interface HistoryDependencies {
  onEvent(event: HostEvent): void;
  /** Longest time between two rounds. */
  everyMs(): number;
}

/** The last hour of each VM, from counters that the daemon reads between scrapes, and the events of the VMs. */
export class HostHistory {
  readonly #history = new History(HOUR_MS, TICKS, ROOM);
  readonly #known = new Map<string, Known>();
  #rounds = 0;
  #overview: { readonly at: number; readonly made: Promise<LiveOverview> } | undefined;

  constructor(private readonly dependencies: HistoryDependencies) {}

  /**
   * @param at milliseconds of the epoch
   * @param evidence of possible causes of slow I/O, by name
   */
  take(at: number, vms: readonly VmCounters[], evidence: ReadonlyMap<string, Evidence> = new Map()): void {
    if (at - this.#history.last < STEP_MS) return;
    this.#history.tick(at, this.#gapMs);
    const running = new Map(vms.map(({ vm, pid }) => [vm, pid]));
    for (const [vm, { pid }] of this.#known) if (running.get(vm) !== pid) this.#end(vm, pid);
    for (const vm of vms) this.#takeOne(vm, evidence.get(vm.vm));
    this.#rounds++;
  }

  /** Empty for a VM without a history. */
  read(vm: string): LiveHistory {
    if (!this.#known.has(vm)) return { vm, times: [], series: {} };
    const names = this.#history.names(vm);
    const { times, values } = this.#history.read(vm, names);
    const series = names.map((name, i) => [
      name,
      (values[i] ?? []).map((value) => (value === null ? null : rounded(value))),
    ]);
    return { vm, times, series: Object.fromEntries(series) };
  }

  /** The process of a VM; undefined for an unknown VM. */
  pidOf(vm: string): string | undefined {
    return this.#known.get(vm)?.pid;
  }

  /** Means of each minute, of all VMs. Requests between two rounds get the same. */
  overview(): Promise<LiveOverview> {
    const { last } = this.#history;
    if (this.#overview?.at !== last) this.#overview = { at: last, made: this.#makeOverview(last) };
    return this.#overview.made;
  }

  async #makeOverview(at: number): Promise<LiveOverview> {
    const yielder = new Yielder();
    const vms: [string, LiveOverview['vms'][string]][] = [];
    for (const vm of [...this.#known.keys()]) {
      if (yielder.isDue()) await yielder.yield();
      vms.push([vm, minutesOf(at, this.#history.read(vm, IN_OVERVIEW), IN_OVERVIEW)]);
    }
    return { times: lastMinutes(at), vms: Object.fromEntries(vms) };
  }

  get #gapMs(): number {
    return Math.max(30_000, 3 * this.dependencies.everyMs());
  }

  #takeOne(vm: VmCounters, evidence: Evidence | undefined): void {
    const known = this.#known.get(vm.vm) ?? this.#begin(vm);
    const { counters, conditions } = known;
    const last = counters.at(-1);
    const gap = last === undefined ? Number.POSITIVE_INFINITY : vm.at - last.at;
    // Nothing is known of a time in which the host or the daemon slept.
    if (gap > this.#gapMs) counters.length = 0;
    const past = counters.at(-1);
    const rates = vmRates(past, vm, gap / 1000);
    counters.push(vm);
    while ((counters[1]?.at ?? Number.POSITIVE_INFINITY) <= vm.at - TIMED_MS) counters.shift();
    this.#follow(vm.vm, conditions, noticedIn(vm, rates));
    if (!this.#hasRoom(vm.vm)) return;
    const set = (name: string, value: number | undefined): void => this.#history.set(vm.vm, name, value);
    set('iops', rates.iops);
    set('exits', rates.exits);
    for (const [step, rate] of Object.entries(rates.perIo)) set(`${step} per I/O`, rate);
    for (const [name, value] of Object.entries(latencies(counters[0], vm))) set(name, value);
    for (const [role, rate] of Object.entries(rates.cores)) set(`cores ${role}`, rate);
    for (const [name, rate] of this.#reasonsToKeep(vm.vm, ratesOf(past?.reasons, vm.reasons, gap / 1000)))
      set(name, rate);
    set('exit time', exitShare(counters[0], vm, rates));
    const before = gap > this.#gapMs ? undefined : known.evidence;
    known.evidence = evidence;
    if (before === undefined || evidence === undefined) return;
    set('queue wait', queueWait(before, evidence));
    for (const [name, value] of Object.entries(measuredBetween(before, evidence))) set(name, value);
  }

  /** The series that the VM has, and the most frequent reasons while there is room. */
  #reasonsToKeep(vm: string, rates: Readonly<Record<string, Rate>>): (readonly [name: string, rate: Rate])[] {
    const kept = new Set(this.#history.names(vm).filter((name) => name.startsWith('reason ')));
    const top = Object.entries(rates)
      .filter(([, rate]) => rate !== undefined && rate > 0)
      .sort(([, a = 0], [, b = 0]) => b - a)
      .slice(0, TOP_REASONS);
    for (const [reason] of top) if (kept.size < MAX_REASONS) kept.add(`reason ${reason}`);
    return [...kept].map((name) => [name, rates[name.slice('reason '.length)]]);
  }

  #hasRoom(vm: string): boolean {
    return this.#history.has(vm) || this.#history.size < MAX_VMS;
  }

  #begin({ vm, pid }: VmCounters): Known {
    const known: Known = { pid, counters: [], evidence: undefined, conditions: new Map() };
    this.#known.set(vm, known);
    // The VMs of the first round may have started long before.
    if (this.#rounds > 0)
      this.dependencies.onEvent({ kind: 'vm_started', vm, what: '', evidence: `pid ${pid}` });
    return known;
  }

  #end(vm: string, pid: string): void {
    this.#known.delete(vm);
    this.#history.forget(vm);
    this.dependencies.onEvent({ kind: 'vm_ended', vm, what: '', evidence: `pid ${pid}` });
  }

  #follow(vm: string, rounds: Map<Noticed, number>, found: readonly Condition[]): void {
    for (const kind of ['stalled', 'exit storm'] as const) {
      const [began, ended] = EVENTS[kind];
      const evidence = found.filter((each) => each.kind === kind).map((each) => each.evidence);
      const before = rounds.get(kind);
      if (evidence.length > 0) {
        if (before === undefined)
          this.dependencies.onEvent({ kind: began, vm, what: '', evidence: evidence.join(', ') });
        rounds.set(kind, 0);
      } else if (before !== undefined && before + 1 >= ROUNDS) {
        rounds.delete(kind);
        this.dependencies.onEvent({ kind: ended, vm, what: '', evidence: '' });
      } else if (before !== undefined) rounds.set(kind, before + 1);
    }
  }
}
