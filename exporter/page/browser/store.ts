import type {
  Counts,
  LiveAlerts,
  LiveCauses,
  LiveDetail,
  LiveEvent,
  LiveHistory,
  LiveHost,
  LiveOverview,
  LiveVm,
  LiveVms,
} from '../live.ts';
import type { Row } from './columns.ts';
import { conditionsOf } from './conditions.ts';
import { type Drawn, History } from './history.ts';
import { type Latency, LatencyWindow } from './latency.ts';
import { Past } from './past.ts';
import { kickKey, type Rate, rateOf, ratesOf, sumOf, type VmRates, vmRates } from './rates.ts';

const KEEP_MS = 600_000;
/** Lines are interrupted after this many intervals, but at least this much time, without data. */
const GAP = 3;
const GAP_MS = 10_000;
/** Rates cover this much time, which hides jitter in the reading times of counters. */
const RATE_MS = 5000;
/** perf reports its counts every 5 s. */
const PERF_RATE_MS = 10_000;

/** Events that are drawn on charts. */
const MARKED: ReadonlySet<string> = new Set(['stage_changed', 'phase_changed']);
const NO_HOUR: Pick<LiveHistory, 'times' | 'series'> = { times: [], series: {} };

/** A change of stage or phase, drawn on charts. */
export interface Mark {
  /** Seconds of the epoch. */
  readonly at: number;
  readonly label: string;
}

export interface ThreadRates {
  readonly run: Rate;
  readonly wait: Rate;
  readonly migrations: Rate;
}

/** State of the page: the last collections, the rates between them, and an hour of history. */
export class Store {
  host: LiveHost | undefined;
  last: LiveVms | undefined;
  rows: readonly Row[] = [];
  /** Busy share of each CPU of the host. */
  cpuBusy: readonly Rate[] = [];
  readonly #history = new History(KEEP_MS);
  /** The last collections, oldest first, as the base of rates. */
  readonly #past = new Past<LiveVms>();
  readonly #pastDetails = new Map<string, Past<LiveDetail>>();
  readonly #threads = new Map<string, Map<string, ThreadRates>>();
  readonly #kicks = new Map<string, Readonly<Record<string, Rate>>>();
  readonly #latencies = new Map<string, LatencyWindow>();
  /** The last hour of a VM as the daemon has it, by VM. */
  readonly #hours = new Map<string, LiveHistory>();
  #overview: LiveOverview | undefined;
  readonly #causes = new Map<string, LiveCauses>();
  /** Oldest first. */
  events: readonly LiveEvent[] = [];
  /** undefined without a Prometheus. */
  alerts: LiveAlerts | undefined;

  /** Call when the connection is lost: no rates are computed across the gap. */
  interrupt(): void {
    this.#past.clear();
    for (const past of this.#pastDetails.values()) past.clear();
  }

  takeVms(now: LiveVms): void {
    const { before, seconds } = this.#past.take(now, this.#rateMs, gapOf(now.everyMs));
    this.#history.tick(now.at, gapOf(now.everyMs));
    const past = byName(before);
    this.rows = now.vms.map((vm) => {
      const old = past.get(vm.vm);
      const rates = vmRates(old, vm, seconds);
      this.#record(vm, rates);
      return { vm, rates, conditions: conditionsOf(vm, rates), hour: this.#hourOf(vm.vm), at: now.at / 1000 };
    });
    this.cpuBusy = now.cpus.map(({ run }, i) => rateOf(before?.cpus[i]?.run, run, seconds));
    this.last = now;
    for (const vm of [...this.#pastDetails.keys()]) {
      if (!now.vms.some((each) => each.vm === vm)) this.#forget(vm);
    }
  }

  takeDetail(now: LiveDetail): void {
    const every = this.last?.everyMs ?? 5000;
    const kept = this.#pastDetails.get(now.vm) ?? new Past<LiveDetail>();
    this.#pastDetails.set(now.vm, kept);
    const { before, seconds } = kept.take(now, this.#rateMs, gapOf(every));
    this.#history.tick(now.at, gapOf(every));
    for (const [reason, rate] of Object.entries(ratesOf(before?.reasons, now.reasons, seconds))) {
      this.#history.set(now.vm, `reason ${reason}`, rate);
    }
    const past = new Map(before?.threads.map((thread) => [thread.thread, thread]));
    const threads = new Map<string, ThreadRates>();
    for (const { thread, run, wait, migrations } of now.threads) {
      const old = past.get(thread);
      threads.set(thread, {
        run: rateOf(old?.run, run, seconds),
        wait: rateOf(old?.wait, wait, seconds),
        migrations: rateOf(old?.migrations, migrations, seconds),
      });
    }
    this.#threads.set(now.vm, threads);
    this.#kicks.set(now.vm, ratesOf(kicksOf(before), kicksOf(now), seconds));
    const window = this.#latencies.get(now.vm) ?? new LatencyWindow();
    this.#latencies.set(now.vm, window);
    window.take(now.at, now.durations);
    for (const [name, value] of Object.entries(window.quantiles())) this.#history.set(now.vm, name, value);
  }

  row(vm: string): Row | undefined {
    return this.rows.find((row) => row.vm.vm === vm);
  }

  detail(vm: string): LiveDetail | undefined {
    return this.#pastDetails.get(vm)?.last;
  }

  threadRates(vm: string): ReadonlyMap<string, ThreadRates> {
    return this.#threads.get(vm) ?? new Map();
  }

  /** Kicks per second by {@link kickKey}. */
  kickRates(vm: string): Readonly<Record<string, Rate>> {
    return this.#kicks.get(vm) ?? {};
  }

  latencies(vm: string): readonly Latency[] {
    return this.#latencies.get(vm)?.byReason() ?? [];
  }

  /** Changes of stage and phase, for the charts. */
  marks(vm: string): readonly Mark[] {
    return this.events
      .filter((event) => event.vm === vm && MARKED.has(event.kind))
      .map(({ at, kind, what }) => {
        const to = what.slice(what.lastIndexOf('-> ') + 3);
        return { at: at / 1000, label: kind === 'phase_changed' && to === 'none' ? 'no phase' : to };
      });
  }

  takeOverview(overview: LiveOverview): void {
    this.#overview = overview;
  }

  takeCauses(causes: LiveCauses): void {
    this.#causes.set(causes.vm, causes);
  }

  /** Causes of slower I/O; undefined before the first query. */
  causes(vm: string): LiveCauses | undefined {
    return this.#causes.get(vm);
  }

  takeHistory(history: LiveHistory): void {
    this.#hours.set(history.vm, history);
  }

  /** The page's own data, preceded by the daemon's record. */
  drawn(vm: string, names: readonly string[]): Drawn {
    const own = this.#history.read(vm, names);
    const { times, series } = this.#hours.get(vm) ?? NO_HOUR;
    const began = own.times[0] ?? Number.POSITIVE_INFINITY;
    const earlier = times.filter((time) => time < began);
    return {
      times: [...earlier, ...own.times],
      values: names.map((name, i) => {
        const past = series[name] ?? [];
        return [...earlier.map((_, at) => past[at] ?? null), ...(own.values[i] ?? [])];
      }),
    };
  }

  names(vm: string): string[] {
    const recorded = Object.keys(this.#hours.get(vm)?.series ?? {});
    return [...new Set([...this.#history.names(vm), ...recorded])];
  }

  #hourOf(vm: string): Row['hour'] {
    const vms = this.#overview?.vms ?? {};
    return Object.hasOwn(vms, vm) ? vms[vm] : undefined;
  }

  get #rateMs(): number {
    return this.host?.traceBackend === 'perf' ? PERF_RATE_MS : RATE_MS;
  }

  #record({ vm, ioRoles }: LiveVm, rates: VmRates): void {
    const set = (name: string, value: Rate): void => this.#history.set(vm, name, value);
    set('exits', rates.exits);
    set('iops', rates.iops);
    for (const [stage, rate] of Object.entries(rates.perIo)) set(`${stage} per I/O`, rate);
    for (const [role, rate] of Object.entries(rates.cores)) set(`cores ${role}`, rate);
    set(
      'queue wait',
      sumOf(rates.waits, (role) => role === 'vcpu' || ioRoles.includes(role)),
    );
  }

  #forget(vm: string): void {
    this.#pastDetails.delete(vm);
    this.#hours.delete(vm);
    this.#causes.delete(vm);
    this.#threads.delete(vm);
    this.#kicks.delete(vm);
    this.#latencies.delete(vm);
  }
}

function kicksOf(detail: LiveDetail | undefined): Counts | undefined {
  if (detail === undefined) return undefined;
  return Object.fromEntries(detail.kicks.map((kick) => [kickKey(kick), kick.count]));
}

function byName(vms: LiveVms | undefined): Map<string, LiveVm> {
  return new Map(vms?.vms.map((vm) => [vm.vm, vm]));
}

function gapOf(everyMs: number): number {
  return Math.max(GAP_MS, everyMs * GAP);
}
