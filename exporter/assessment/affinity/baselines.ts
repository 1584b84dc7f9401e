import { z } from 'zod';
import { cpuCountOf } from '../../../kernel/cpu-list.ts';
import { StateFile, type StateLogger } from '../../state/state-file.ts';
import { type Acceptance, ANY } from './accepted.ts';

const cpuList = z.string().max(65_536).refine(isCpuList);
const label = z.string().max(256);
const schema = z.object({
  /** /proc/sys/kernel/random/boot_id: pids and start times are not comparable across reboots. */
  boot: z.string().max(64),
  /** CPU list by thread label, by incarnation of the VM. */
  vms: z.record(z.string().max(64), z.record(label, cpuList)),
  /** Time of the last acceptance that was applied, by incarnation of the VM. */
  accepted: z.record(z.string().max(64), z.iso.datetime()).default({}),
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
  readonly #accepted: Map<string, string>;
  #changed = false;

  constructor(
    directory: string,
    private readonly boot: string,
    logger: StateLogger,
    /** False for commands beside the daemon: a mask that they see first may have drifted long ago. */
    readonly learns: boolean,
  ) {
    const empty = (): Learnt => ({ boot, vms: {}, accepted: {} });
    this.#file = new StateFile({ directory, name: 'baselines.json', schema, empty, logger });
    const { value } = this.#file;
    const { vms, accepted } = boot !== '' && value.boot === boot ? value : empty();
    this.#vms = new Map(Object.entries(vms).map(([key, masks]) => [key, new Map(Object.entries(masks))]));
    this.#accepted = new Map(Object.entries(accepted));
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

  /** Makes an accepted placement the baseline, once: later pins count again. */
  accept(vm: string, acceptances: readonly Acceptance[]): void {
    const since = this.#accepted.get(vm) ?? '';
    for (const { thread, cpus, at } of acceptances.filter(({ at }) => at > since)) {
      if (cpus === ANY) this.forget(vm, thread);
      else this.learn(vm, thread, cpus);
      if (at > (this.#accepted.get(vm) ?? '')) this.#accepted.set(vm, at);
      this.#changed = true;
    }
  }

  /** Forgets VMs that are gone, and writes the file if anything changed. */
  async keep(vms: ReadonlySet<string>): Promise<void> {
    for (const known of [this.#vms, this.#accepted]) {
      for (const vm of known.keys()) if (!vms.has(vm)) this.#changed = known.delete(vm);
    }
    if (!this.#changed || !this.learns) return;
    this.#changed = false;
    const learnt = [...this.#vms].map(([key, masks]) => [key, Object.fromEntries(masks)]);
    await this.#file.save({
      boot: this.boot,
      vms: Object.fromEntries(learnt),
      accepted: Object.fromEntries(this.#accepted),
    });
  }
}
