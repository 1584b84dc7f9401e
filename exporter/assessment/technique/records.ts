import { z } from 'zod';
import { EVIDENCE, TECHNIQUE_STATES, TECHNIQUES, type Technique } from '../../metrics/techniques.ts';
import { StateFile, type StateLogger } from '../../state/state-file.ts';
import type { TechniqueRecord } from './transition.ts';

const number = z.number();
const evidence = z.object({
  name: z.enum(EVIDENCE),
  value: number,
  threshold: number,
  wants: z.enum(['below', 'at_least']),
  error: number,
  seconds: number.optional(),
  ios: number.optional(),
});
const record = z.object({
  state: z.enum(TECHNIQUE_STATES),
  since: number,
  was: evidence.optional(),
  inForceFrom: number.optional(),
  /** Number of changes, by `in_force lost`. */
  changes: z.record(z.string().max(32), z.int().nonnegative()),
});
const schema = z.object({
  /** Pids and start times are not comparable across reboots. */
  boot: z.string().max(64),
  vms: z.record(z.string().max(64), z.partialRecord(z.enum(TECHNIQUES), record)),
});

type Kept = z.infer<typeof schema>;
type KeptRecord = z.infer<typeof record>;
type RecordsOfVm = ReadonlyMap<Technique, TechniqueRecord>;

/** The states of the techniques in this life of each VM. They survive a restart of the daemon. */
export class TechniqueRecords {
  readonly #file: StateFile<Kept>;
  readonly #vms: Map<string, RecordsOfVm>;
  #changed = false;

  constructor(
    directory: string,
    private readonly boot: string,
    logger: StateLogger,
    private readonly learns: boolean,
  ) {
    const empty = (): Kept => ({ boot, vms: {} });
    this.#file = new StateFile({ directory, name: 'techniques.json', schema, empty, logger });
    const { value } = this.#file;
    const vms = boot !== '' && value.boot === boot ? Object.entries(value.vms) : [];
    this.#vms = new Map(vms.map(([key, kept]) => [key, recordsFrom(kept)]));
  }

  of(vm: string, technique: Technique): TechniqueRecord | undefined {
    return this.#vms.get(vm)?.get(technique);
  }

  set(vm: string, technique: Technique, now: TechniqueRecord): void {
    const before = this.of(vm, technique);
    if (before === now) return;
    this.#vms.set(vm, new Map([...(this.#vms.get(vm) ?? []), [technique, now]]));
    // The last number alone is not worth a write.
    const isKept =
      before?.state === now.state && before.since === now.since && before.inForceFrom === now.inForceFrom;
    if (!isKept) this.#changed = true;
  }

  /** Forgets VMs that are gone, and writes the file if a state changed. */
  async keep(vms: ReadonlySet<string>): Promise<void> {
    for (const vm of this.#vms.keys()) {
      if (vms.has(vm)) continue;
      this.#vms.delete(vm);
      this.#changed = true;
    }
    if (!this.#changed || !this.learns) return;
    this.#changed = false;
    const kept = [...this.#vms].map(([key, records]) => [key, keptOf(records)]);
    await this.#file.save({ boot: this.boot, vms: Object.fromEntries(kept) });
  }
}

function recordsFrom(kept: Kept['vms'][string]): RecordsOfVm {
  return new Map(
    TECHNIQUES.flatMap((technique) => {
      const record = kept?.[technique];
      return record === undefined ? [] : [[technique, recordFrom(record)] as const];
    }),
  );
}

function recordFrom({ state, since, was, inForceFrom, changes }: KeptRecord): TechniqueRecord {
  return {
    state,
    since,
    was: was === undefined ? undefined : { ...was, seconds: was.seconds, ios: was.ios },
    inForceFrom,
    changes: new Map(Object.entries(changes)),
  };
}

function keptOf(records: RecordsOfVm): Kept['vms'][string] {
  return Object.fromEntries(
    [...records].map(([technique, { changes, ...record }]) => [
      technique,
      { ...record, changes: Object.fromEntries(changes) },
    ]),
  );
}
