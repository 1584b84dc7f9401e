import { z } from 'zod';
import { cpuCountOf } from '../../../kernel/cpu-list.ts';
import { StateFile, type StateLogger } from '../../state/state-file.ts';

/** CPU list, or `any` for a thread that is not expected to be pinned. */
const cpus = z
  .string()
  .max(65_536)
  .refine((text) => text === ANY || (cpuCountOf(text) ?? 0) > 0);
const schema = z.object({
  /** /proc/sys/kernel/random/boot_id: pids and start times are not comparable across reboots. */
  boot: z.string().max(64),
  /** By incarnation of the VM. */
  vms: z.record(
    z.string().max(64),
    /** By thread label. The daemon applies each once. */
    z.record(z.string().max(256), z.object({ cpus, at: z.iso.datetime() })),
  ),
});

type Content = z.infer<typeof schema>;

/** In place of a CPU list: the thread is not expected to be pinned. */
export const ANY = 'any';

/** The expected CPUs of a thread, as the operator accepted them. */
export interface Acceptance {
  readonly thread: string;
  /** CPU list or ANY. */
  readonly cpus: string;
  /** ISO 8601. */
  readonly at: string;
}

/**
 * Placements that the operator accepts as the expected ones (`kvm-telemetry accept`). The command line writes
 * the file and the daemon reads it.
 */
export class Accepted {
  readonly #file: StateFile<Content>;

  constructor(
    directory: string,
    private readonly boot: string,
    logger: StateLogger,
  ) {
    const empty = (): Content => ({ boot, vms: {} });
    this.#file = new StateFile({ directory, name: 'accepted.json', schema, empty, logger });
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads what was accepted since the last read. */
  reload(): void {
    this.#file.reload();
  }

  /** What was accepted for this incarnation of a VM. */
  of(vm: string): Acceptance[] {
    const { boot, vms } = this.#file.value;
    const found = boot === this.boot && Object.hasOwn(vms, vm) ? vms[vm] : undefined;
    return Object.entries(found ?? {}).map(([thread, { cpus, at }]) => ({ thread, cpus, at }));
  }

  /**
   * Adds to what was accepted for the VM before, and forgets VMs that are gone.
   *
   * @returns whether the change is saved and survives this process
   */
  accept(
    vm: string,
    threads: ReadonlyMap<string, string>,
    now: Date,
    alive: ReadonlySet<string>,
  ): Promise<boolean> {
    return this.#file.update(({ boot, vms }) => {
      const known = boot === this.boot ? Object.entries(vms).filter(([key]) => alive.has(key)) : [];
      const before = new Map(known).get(vm) ?? {};
      const at = after(now, Object.values(before)).toISOString();
      const added = [...threads].map(([thread, list]) => [thread, { cpus: list, at }]);
      const own = { ...before, ...Object.fromEntries(added) };
      return { boot: this.boot, vms: { ...Object.fromEntries(known), [vm]: own } };
    });
  }
}

/** Later than each before, whatever the clock does. */
function after(now: Date, before: readonly { readonly at: string }[]): Date {
  return new Date(Math.max(now.getTime(), ...before.map(({ at }) => Date.parse(at) + 1)));
}
