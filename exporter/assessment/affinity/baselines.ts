import { z } from 'zod';
import { cpuCountOf } from '../../../kernel/cpu-list.ts';
import { StateFile, type StateLogger } from '../../state/state-file.ts';

const cpuList = z.string().max(65_536).refine(isCpuList);
const label = z.string().max(256);
const schema = z.object({
  /** /proc/sys/kernel/random/boot_id: pids and start times are not comparable across reboots. */
  boot: z.string().max(64),
  /** CPU list by thread label, by incarnation of the VM. */
  vms: z.record(z.string().max(64), z.record(label, cpuList)),
});

function isCpuList(text: string): boolean {
  return (cpuCountOf(text) ?? 0) > 0;
}

type Learnt = z.infer<typeof schema>;

/**
 * The masks of threads that were pinned when, or soon after, their VM was first seen. They survive a restart
 * of the daemon, but not of the VM.
 */
export class Baselines {
  readonly #file: StateFile<Learnt>;
  readonly #vms: Map<string, Map<string, string>>;
  #changed = false;

  constructor(
    directory: string,
    private readonly boot: string,
    logger: StateLogger,
    private readonly learns: boolean,
  ) {
    const empty = (): Learnt => ({ boot, vms: {} });
    this.#file = new StateFile({ directory, name: 'baselines.json', schema, empty, logger });
    const { value } = this.#file;
    const vms = boot !== '' && value.boot === boot ? Object.entries(value.vms) : [];
    this.#vms = new Map(vms.map(([key, masks]) => [key, new Map(Object.entries(masks))]));
  }

  /** CPU list; undefined if none was learned for the thread. */
  of(vm: string, thread: string): string | undefined {
    return this.#vms.get(vm)?.get(thread);
  }

  /** Ignores values that the schema rejects: one of them would make the whole file unreadable. */
  learn(vm: string, thread: string, cpus: string): void {
    if (!label.safeParse(thread).success || !cpuList.safeParse(cpus).success) return;
    const masks = this.#vms.get(vm) ?? new Map<string, string>();
    this.#vms.set(vm, masks);
    if (masks.get(thread) === cpus) return;
    masks.set(thread, cpus);
    this.#changed = true;
  }

  /** Forgets the baseline of a thread that is no longer pinned, if that is not drift. */
  forget(vm: string, thread: string): void {
    if (this.#vms.get(vm)?.delete(thread) === true) this.#changed = true;
  }

  /** Forgets VMs that are gone, and writes the file if anything changed. */
  async keep(vms: ReadonlySet<string>): Promise<void> {
    for (const vm of this.#vms.keys()) {
      if (vms.has(vm)) continue;
      this.#vms.delete(vm);
      this.#changed = true;
    }
    if (!this.#changed || !this.learns) return;
    this.#changed = false;
    const learnt = [...this.#vms].map(([key, masks]) => [key, Object.fromEntries(masks)]);
    await this.#file.save({ boot: this.boot, vms: Object.fromEntries(learnt) });
  }
}
