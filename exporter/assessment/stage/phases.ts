import { z } from 'zod';
import { truncateName } from '../../model/vm-names.ts';
import { StateFile, type StateLogger } from '../../state/state-file.ts';

const name = z.string().min(1).max(200);
const schema = z.object({
  /** By name or UUID of the VM. */
  phases: z.record(name, z.object({ phase: name, since: z.iso.datetime() })),
});

export interface DeclaredPhase {
  /** Name or UUID of the VM, as the user gave it. */
  readonly vm: string;
  readonly phase: string;
  /** ISO 8601. */
  readonly since: string;
}

/**
 * Phases of VMs, such as the version of a patch, that cannot be detected. You declare a phase by hand, and it
 * stays until you clear it. The command line writes the file and the daemon reads it.
 */
export class Phases {
  readonly #file: StateFile<z.infer<typeof schema>>;

  constructor(directory: string, logger: StateLogger) {
    const empty = (): z.infer<typeof schema> => ({ phases: {} });
    this.#file = new StateFile({ directory, name: 'phases.json', schema, empty, logger });
  }

  get path(): string {
    return this.#file.path;
  }

  /** Reads the file again. */
  reload(): void {
    this.#file.reload();
  }

  get all(): DeclaredPhase[] {
    return Object.entries(this.#file.value.phases)
      .map(([vm, { phase, since }]) => ({ vm, phase, since }))
      .sort((a, b) => (a.vm < b.vm ? -1 : 1));
  }

  /** undefined if none is declared. The UUID is unique and takes precedence over the name. */
  of(vm: { readonly name: string; readonly uuid: string }): string | undefined {
    const { phases } = this.#file.value;
    const of = (key: string): string | undefined =>
      Object.hasOwn(phases, key) ? phases[key]?.phase : undefined;
    return (vm.uuid === '' ? undefined : of(vm.uuid)) ?? of(vm.name);
  }

  /** @returns whether the phase is saved and survives this process */
  set(vm: string, phase: string, since: Date): Promise<boolean> {
    const declared = { phase: truncateName(phase), since: since.toISOString() };
    return this.#file.update(({ phases }) => ({ phases: { ...phases, [keyOf(vm)]: declared } }));
  }

  /** @returns undefined if none was declared, else whether the change is saved and survives this process */
  async clear(vm: string): Promise<boolean | undefined> {
    const name = keyOf(vm);
    let wasDeclared = false;
    const isKept = await this.#file.update(({ phases }) => {
      const { [name]: cleared, ...others } = phases;
      wasDeclared = Object.hasOwn(phases, name);
      return { phases: others };
    });
    return wasDeclared ? isKept : undefined;
  }
}

/** Formats a name as the inventory does. UUIDs are in lower case there. */
function keyOf(vm: string): string {
  const name = truncateName(vm);
  return /^[0-9a-f-]{36}$/i.test(name) ? name.toLowerCase() : name;
}
