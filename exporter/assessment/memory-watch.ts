import { MIB } from '../../kernel/units.ts';
import { attempt } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readProcessMemory } from '../../probes/proc-pid-memory.ts';
import { readTaskSched } from '../../probes/proc-task-sched.ts';
import { readMovedPages } from '../../probes/proc-vmstat.ts';
import type { HostEvent } from '../model/host-event.ts';
import { SAMPLED_ROLES } from '../model/roles.ts';
import type { Vm, VmThread } from '../model/vm.ts';
import { type GrowthChange, GrowthWatch } from './growth-watch.ts';

/** A slower rate is normal: the host swaps pages that the guest has not used for long. */
const SWAPPED_PER_SECOND = MIB;
/** 1 MiB a second in small pages. */
const PAGES_PER_SECOND = 256;

/** Notices when a VM's memory goes to swap, and when NUMA balancing moves it. */
export class MemoryWatch {
  readonly #swap = new GrowthWatch(SWAPPED_PER_SECOND);
  readonly #numa = new GrowthWatch(PAGES_PER_SECOND);
  readonly #hostPages = new GrowthWatch(PAGES_PER_SECOND);
  #movesPages = false;

  constructor(
    private readonly host: Host,
    private readonly now: () => number,
  ) {}

  /** Call it several times a minute. @param threadsOf the threads as last observed */
  changes(vms: readonly Vm[], threadsOf: (vm: Vm) => Iterable<VmThread>): HostEvent[] {
    const at = this.now();
    const labels = new Map(vms.map(({ key, label }) => [key, label]));
    const swapped = valuesOf(vms, ({ pid }) => attempt(() => readProcessMemory(this.host, pid))?.swapped);
    const event = (
      kind: 'swap' | 'numa_balancing',
      { key, began, grown, seconds }: GrowthChange,
    ): HostEvent => {
      const what = kind === 'swap' ? `${Math.round(grown / MIB)} MiB` : `${grown} pages`;
      const evidence = began ? `${what} in ${Math.round(seconds)} s` : '';
      return { kind: `${kind}_${began ? 'began' : 'ended'}`, vm: labels.get(key) ?? key, what: '', evidence };
    };
    return [
      ...this.#swap.changes(swapped, at).map((change) => event('swap', change)),
      ...this.#numa
        .changes(this.#pagesMoved(vms, threadsOf, at), at)
        .map((change) => event('numa_balancing', change)),
    ];
  }

  /** A file for each thread, so only while the host moves pages. */
  #pagesMoved(
    vms: readonly Vm[],
    threadsOf: (vm: Vm) => Iterable<VmThread>,
    at: number,
  ): ReadonlyMap<string, number> {
    const pages = attempt(() => readMovedPages(this.host))?.numaMigrated;
    const [change] = this.#hostPages.changes(
      pages === undefined ? new Map() : new Map([['host', pages]]),
      at,
    );
    // Once more after the end, so that each VM has its own end event.
    const isOver = !this.#movesPages && change === undefined;
    if (change !== undefined) this.#movesPages = change.began;
    if (isOver) return new Map();
    return valuesOf(vms, (vm) => {
      const threads = [...threadsOf(vm)].filter(({ role }) => SAMPLED_ROLES.has(role));
      const moved = threads.flatMap(
        ({ path }) => attempt(() => readTaskSched(this.host, path))?.numaPagesMigrated ?? [],
      );
      return moved.length === 0 ? undefined : moved.reduce((sum, each) => sum + each, 0);
    });
  }
}

function valuesOf(vms: readonly Vm[], of: (vm: Vm) => number | undefined): ReadonlyMap<string, number> {
  return new Map(
    vms.flatMap((vm): [string, number][] => {
      const value = of(vm);
      return value === undefined ? [] : [[vm.key, value]];
    }),
  );
}
