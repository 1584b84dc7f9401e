import { z } from 'zod';
import { fitName } from '../model/vm-names.ts';
import { StateFile, type StateLogger } from '../state.ts';

const name = z.string().min(1).max(200);
const schema = z.object({
  /** By name or UUID of the VM. */
  phases: z.record(name, z.object({ phase: name, since: z.iso.datetime() })),
});

export interface DeclaredPhase {
  /** Name or UUID of the VM, as it was given. */
  readonly vm: string;
  readonly phase: string;
  /** ISO 8601. */
  readonly since: string;
}

/**
 * Which patch a VM runs with, where nothing can detect it: declared by hand, kept until it is cleared. The command line
 * writes the file and the daemon reads it.
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

  /** Takes over what was declared meanwhile. */
  reload(): void {
    this.#file.reload();
  }

  get all(): DeclaredPhase[] {
    return Object.entries(this.#file.value.phases)
      .map(([vm, { phase, since }]) => ({ vm, phase, since }))
      .sort((a, b) => (a.vm < b.vm ? -1 : 1));
  }

  /** undefined where none is declared; the UUID, which is unique, beats the name. */
  of(vm: { readonly name: string; readonly uuid: string }): string | undefined {
    const { phases } = this.#file.value;
    const of = (key: string): string | undefined =>
      Object.hasOwn(phases, key) ? phases[key]?.phase : undefined;
    return (vm.uuid === '' ? undefined : of(vm.uuid)) ?? of(vm.name);
  }

  /** @returns whether it will outlive this process */
  set(vm: string, phase: string, since: Date): Promise<boolean> {
    const declared = { phase: fitName(phase), since: since.toISOString() };
    return this.#file.update(({ phases }) => ({ phases: { ...phases, [keyOf(vm)]: declared } }));
  }

  /** @returns undefined where none was declared, else whether it will outlive this process */
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

/** As the inventory names VMs, whose UUIDs are in lower case. */
function keyOf(vm: string): string {
  const name = fitName(vm);
  return /^[0-9a-f-]{36}$/i.test(name) ? name.toLowerCase() : name;
}
