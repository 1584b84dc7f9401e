import { SourceError } from '../../probes/errors.ts';

/** Probes that the inventory answers for. */
export type InventoryProbe = 'inventory' | 'libvirt' | 'kvm_debugfs' | 'block' | 'cpus';

const PROBES: readonly InventoryProbe[] = ['inventory', 'libvirt', 'kvm_debugfs', 'block', 'cpus'];
const MAX_PER_PROBE = 16;

/** What went wrong since the last full pass began; a quick pass adds to it, as it does not look again at what failed. */
export class Problems {
  #found = new Map<InventoryProbe, SourceError[]>(PROBES.map((probe) => [probe, []]));

  get found(): ReadonlyMap<InventoryProbe, readonly SourceError[]> {
    return this.#found;
  }

  clear(): void {
    this.#found = new Map(PROBES.map((probe) => [probe, []]));
  }

  note(probe: InventoryProbe, problem: SourceError): void {
    const problems = this.#found.get(probe);
    if (problems !== undefined && problems.length < MAX_PER_PROBE) problems.push(problem);
  }

  /**
   * Runs a read that may fail without costing the rest; a failure that is not a death is noted.
   *
   * @param lives whether the owner of the file does, asked where the file is not there
   */
  attempt<T>(probe: InventoryProbe, read: () => T, otherwise: T, lives: () => boolean = () => true): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const isDeath = error.kind === 'vanished' || (error.kind === 'absent' && !lives());
      if (!isDeath) this.note(probe, error);
      return otherwise;
    }
  }
}
