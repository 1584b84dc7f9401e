import { MODULE_OBJECT } from '../../../probes/bpf/iterator.ts';
import { type KvmRows, parseKvmRows } from '../../../probes/bpf/kvm-rows.ts';
import { SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { type KernelResult, NO_KERNEL } from '../../model/remote.ts';
import type { Vm } from '../../model/vm.ts';
import type { KernelFacts, VmStatistics } from '../../model/vm-statistics.ts';
import { BpfObject, type BpfSettings, type Loader, loadObject } from './object.ts';
import type { RowReader } from './row-reader.ts';
import { statisticsOf, vcpuThreads } from './statistics.ts';

const NO_ROWS: KvmRows = { vms: [], vcpus: [] };
/** A scrape reuses the rows of the search for VMs up to this age. */
const SHARED_MS = 100;

/** KVM's statistics from the kernel's own structures, read by a BPF iterator. */
export class KernelStatistics {
  readonly #object: BpfObject;
  #last: ReadonlyMap<string, VmStatistics> = new Map();
  #shared: { readonly rows: KvmRows; readonly at: number } | undefined;
  #vcpus: ReadonlyMap<number, ReadonlyMap<number, number>> = new Map();

  constructor(
    host: Host,
    settings: BpfSettings,
    private readonly indexOf: (vm: Vm, tid: number) => number | undefined,
    load: Loader = () => loadObject(host, 'kvm'),
    private readonly now: () => number = () => performance.now(),
  ) {
    this.#object = new BpfObject(host, 'kvm', settings, load, now);
  }

  /** Takes effect at the next `prepare`. */
  configure(settings: BpfSettings): void {
    this.#object.configure(settings);
  }

  prepare(): void {
    this.#object.prepare();
  }

  /** False if it is off, and for a copy of a host without rows. */
  get isWanted(): boolean {
    return this.#object.isWanted;
  }

  /** Ids of the processes that have a VM in KVM now; undefined if the kernel cannot be read. */
  holders(): ReadonlySet<number> | undefined {
    try {
      const rows = this.#read();
      if (rows === undefined) return undefined;
      this.#shared = { rows, at: this.now() };
      return new Set(rows.vms.map(({ pid }) => pid));
    } catch {
      // The query of this scrape reports it.
      return undefined;
    }
  }

  /**
   * Reads the statistics of these VMs.
   *
   * @param maxAgeMs the query reuses rows of the search for VMs up to this age
   */
  query(vms: readonly Vm[], maxAgeMs = SHARED_MS): KernelResult {
    this.#last = new Map();
    this.#vcpus = new Map();
    const { reader, missing, objects, title } = this.#object;
    if (reader === undefined) return { ...NO_KERNEL, missing, objects };
    const shared = this.#shared;
    this.#shared = undefined;
    const kvm = vms.filter(({ accel }) => accel === 'kvm');
    const queried = new Set(kvm.map(({ key }) => key));
    try {
      const isFresh = shared !== undefined && this.now() - shared.at <= maxAgeMs;
      const rows = isFresh ? shared.rows : (this.#read() ?? NO_ROWS);
      this.#vcpus = vcpuThreads(rows);
      const statistics = statisticsOf(rows, kvm, this.indexOf);
      this.#last = statistics;
      const lacks = [...missing, ...withoutTypes(reader, rows)];
      return { works: true, statistics, queried, problems: [], missing: lacks, objects };
    } catch (error) {
      return { ...NO_KERNEL, queried, problems: [sourceError(error, title)], missing, objects };
    }
  }

  /** Names of the statistics that the last query gave for the VM. */
  namesOf(key: string): ReadonlySet<string> | undefined {
    const statistics = this.#last.get(key);
    if (statistics === undefined) return undefined;
    const { names, values } = statistics.vcpus;
    const ofVcpu = names.filter((_, column) => !Number.isNaN(values[column] ?? Number.NaN));
    return new Set([...statistics.vm.keys(), ...ofVcpu, ...statistics.histograms.keys()]);
  }

  /** KVM's ids of the VM's vCPUs by thread, as of the last query; undefined if it gave none. */
  vcpusOf({ pid }: Vm): ReadonlyMap<number, number> | undefined {
    return this.#vcpus.get(pid);
  }

  /** The result of the last query for the VM; undefined if there is none. */
  lastOf(key: string): KernelFacts | undefined {
    return this.#last.get(key);
  }

  close(): void {
    this.#object.close();
  }

  #read(): KvmRows | undefined {
    const { reader, title } = this.#object;
    // The program writes the rows of all processes. The reader reuses its buffer.
    return reader && parseKvmRows(Buffer.from(reader.read(new Set())), title);
  }
}

/** libbpf also loads the object where the kernel does not describe the types of the module. */
function withoutTypes({ object }: RowReader, { vms }: KvmRows): SourceError[] {
  if (object !== MODULE_OBJECT || vms.length === 0 || vms.some((vm) => vm.hasModuleTypes)) return [];
  const reason = "the types of KVM's module are unknown";
  return [new SourceError('absent', `BPF object ${object}`, reason)];
}
