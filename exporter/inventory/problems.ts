import { SourceError } from '../../probes/errors.ts';

/** Probes whose problems the inventory reports. */
export type InventorySource = 'inventory' | 'libvirt' | 'kvm_debugfs' | 'block' | 'cpus';

const PROBES: readonly InventorySource[] = ['inventory', 'libvirt', 'kvm_debugfs', 'block', 'cpus'];
const MAX_PER_PROBE = 16;

/** Problems since the start of the last full pass. A quick pass only adds: it does not retry failed reads. */
export class Problems {
  #found = new Map<InventorySource, SourceError[]>(PROBES.map((source) => [source, []]));

  get found(): ReadonlyMap<InventorySource, readonly SourceError[]> {
    return this.#found;
  }

  clear(): void {
    this.#found = new Map(PROBES.map((source) => [source, []]));
  }

  note(source: InventorySource, problem: SourceError): void {
    const problems = this.#found.get(source);
    if (problems !== undefined && problems.length < MAX_PER_PROBE) problems.push(problem);
  }

  /**
   * Runs a read that may fail and returns `otherwise` if it does. Reports the failure unless the file's owner
   * has exited.
   *
   * @param lives whether the owner of the file is running; called only if the file does not exist
   */
  attempt<T>(source: InventorySource, read: () => T, otherwise: T, lives: () => boolean = () => true): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const isDeath = error.kind === 'vanished' || (error.kind === 'absent' && !lives());
      if (!isDeath) this.note(source, error);
      return otherwise;
    }
  }
}
