import { SourceError } from '../../probes/errors.ts';

/** Probes whose problems the inventory reports. */
export type InventoryProbe = 'inventory' | 'libvirt' | 'kvm_debugfs' | 'block' | 'cpus';

const PROBES: readonly InventoryProbe[] = ['inventory', 'libvirt', 'kvm_debugfs', 'block', 'cpus'];
const MAX_PER_PROBE = 16;

/** Problems since the start of the last full pass. A quick pass only adds: it does not retry failed reads. */
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
   * Runs a read that may fail and returns `otherwise` if it does. Reports the failure unless the file's owner
   * has exited.
   *
   * @param lives whether the owner of the file is running; called only if the file does not exist
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
