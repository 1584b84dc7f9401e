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
  /** Time at which the operator accepted the loss of techniques, by incarnation of the VM. */
  lost: z.record(z.string().max(64), z.iso.datetime()).default({}),
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

/** The state of a VM that the operator accepts. */
export interface Accepting {
  /** CPU list or ANY, by thread label. */
  readonly threads: ReadonlyMap<string, string>;
  /** Whether techniques that were lost are no longer expected either. */
  readonly withLost: boolean;
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
    const empty = (): Content => ({ boot, vms: {}, lost: {} });
    this.#file = new StateFile({ directory, name: 'accepted.json', schema, empty, logger });
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads the file again, with the entries since the last read. */
  reload(): void {
    this.#file.reload();
  }

  /** The entry of this incarnation of a VM. */
  of(vm: string): Acceptance[] {
    const found = this.#own(({ vms }) => vms, vm);
    return Object.entries(found ?? {}).map(([thread, { cpus, at }]) => ({ thread, cpus, at }));
  }

  /** Time at which the operator accepted the loss of techniques of this incarnation, in milliseconds of the epoch. */
  lostAt(vm: string): number | undefined {
    const at = this.#own(({ lost }) => lost, vm);
    return at === undefined ? undefined : Date.parse(at);
  }

  #own<T>(of: (content: Content) => Readonly<Record<string, T>>, vm: string): T | undefined {
    const { value } = this.#file;
    const all = of(value);
    return value.boot === this.boot && Object.hasOwn(all, vm) ? all[vm] : undefined;
  }

  /**
   * Adds to the entry of the VM, and removes the entries of VMs that ended.
   *
   * @returns whether the change is saved and survives this process
   */
  accept(
    vm: string,
    { threads, withLost }: Accepting,
    now: Date,
    alive: ReadonlySet<string>,
  ): Promise<boolean> {
    return this.#file.update(({ boot, vms, lost }) => {
      const ofAlive = <T>(all: Readonly<Record<string, T>>): Record<string, T> =>
        Object.fromEntries(boot === this.boot ? Object.entries(all).filter(([key]) => alive.has(key)) : []);
      const known = ofAlive(vms);
      const before = known[vm] ?? {};
      const at = after(now, Object.values(before)).toISOString();
      const added = [...threads].map(([thread, list]) => [thread, { cpus: list, at }]);
      const own = { ...before, ...Object.fromEntries(added) };
      return {
        boot: this.boot,
        vms: { ...known, [vm]: own },
        lost: { ...ofAlive(lost), ...(withLost ? { [vm]: now.toISOString() } : {}) },
      };
    });
  }
}

/** Later than all times before, even if the clock was set back. */
function after(now: Date, before: readonly { readonly at: string }[]): Date {
  return new Date(Math.max(now.getTime(), ...before.map(({ at }) => Date.parse(at) + 1)));
}
