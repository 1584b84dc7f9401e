import { dirname, join } from 'node:path';
import { BpfIterator, MAX_ROW_BYTES } from '../../../probes/bpf/iterator.ts';
import { type KvmRows, parseKvmRows } from '../../../probes/bpf/kvm-rows.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { isGone, SourceError, sourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import { type KernelResult, NO_KERNEL } from '../../model/remote.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStatistics } from '../../model/vm-statistics.ts';
import { statisticsOf } from './statistics.ts';

/** The first pid namespace, include/linux/proc_ns.h PROC_PID_INIT_INO. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

/** Something that reads the rows of all VMs and vCPUs: an iterator in the kernel, or a file in a copy of a host. */
export interface RowReader {
  read(): Buffer;
  close(): void;
}

/** @throws SourceError if BPF cannot be used here */
export type Loader = (host: Host) => Promise<RowReader>;

export interface KernelSettings {
  readonly mode: 'auto' | 'off';
}

/**
 * KVM's statistics from the kernel's own structures, read by a BPF iterator. It is optional: if it cannot be loaded, the reason
 * is kept for doctor and the other sources are used.
 */
export class KernelStatistics {
  #reader: RowReader | undefined;
  #loading: Promise<void> | undefined;
  #missing: SourceError | undefined;
  #last: ReadonlyMap<string, VmStatistics> = new Map();
  /** Mode of the last attempt to load. */
  #tried: KernelSettings['mode'] | undefined;

  constructor(
    private readonly host: Host,
    private settings: KernelSettings,
    private readonly indexOf: (vm: Vm, tid: number) => number | undefined,
    private readonly load: Loader = loadIterator,
  ) {}

  /** Takes effect at the next `prepare`. */
  configure(settings: KernelSettings): void {
    this.settings = settings;
  }

  /** Loads the programs once, and again after the settings have changed. */
  async prepare(): Promise<void> {
    const { mode } = this.settings;
    if (mode !== this.#tried) {
      await this.#loading;
      this.close();
      this.#tried = mode;
      this.#loading = mode === 'off' ? undefined : this.#open(rowsFolder(this.host));
    }
    await this.#loading;
  }

  /** False if it is off, and for a copy of a host without rows. */
  get isWanted(): boolean {
    return this.#reader !== undefined || this.#missing !== undefined;
  }

  /** Reads the statistics of these VMs now. */
  query(vms: readonly Vm[]): KernelResult {
    this.#last = new Map();
    const missing = this.#missing === undefined ? [] : [this.#missing];
    if (this.#reader === undefined) return { ...NO_KERNEL, missing };
    const kvm = vms.filter(({ accel }) => accel === 'kvm');
    const queried = new Set(kvm.map(({ key }) => key));
    try {
      const statistics = statisticsOf(rowsOf(this.#reader), kvm, this.indexOf);
      this.#last = statistics;
      return { works: true, statistics, queried, problems: [], missing };
    } catch (error) {
      const problems = [sourceError(error, 'BPF iterator kvm')];
      return { ...NO_KERNEL, queried, problems, missing };
    }
  }

  /** Names of the statistics that the last query gave for the VM. */
  namesOf(key: string): ReadonlySet<string> | undefined {
    const statistics = this.#last.get(key);
    if (statistics === undefined) return undefined;
    const [vcpu] = statistics.vcpus.values();
    const [ofVcpu, histograms] = [vcpu?.keys() ?? [], statistics.histograms.keys()];
    return new Set([...statistics.vm.keys(), ...ofVcpu, ...histograms]);
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#missing = undefined;
    this.#tried = undefined;
  }

  async #open(rows: string | undefined): Promise<void> {
    try {
      if (rows === undefined) this.#reader = await this.load(this.host);
      else this.#reader = fileReader(this.host, `${rows}/kvm`);
    } catch (error) {
      // A copy of a host need not have rows.
      if (rows === undefined || !isGone(error)) this.#missing = sourceError(error, 'BPF iterator kvm');
    }
  }
}

/** A copy of a host has its rows in files, if it has any; undefined for this host. */
function rowsFolder({ isLive, roots }: Host): string | undefined {
  return roots.bpf ?? (isLive ? undefined : join(dirname(roots.procfs), 'bpf'));
}

function rowsOf(reader: RowReader): KvmRows {
  return parseKvmRows(reader.read(), 'BPF iterator kvm');
}

/** The file has what the iterator would write. */
function fileReader(host: Host, path: string): RowReader {
  host.stat(path);
  return {
    read() {
      const pieces: Buffer[] = [];
      let length = 0;
      for (const piece of host.pieces(path)) {
        length += piece.length;
        if (length > MAX_ROW_BYTES)
          throw new SourceError('too_large', path, `more than ${MAX_ROW_BYTES} bytes`);
        pieces.push(Buffer.from(piece));
      }
      return Buffer.concat(pieces);
    },
    close: () => undefined,
  };
}

async function loadIterator(host: Host): Promise<RowReader> {
  const path = '/proc/self/ns/pid';
  if (host.link(path) !== FIRST_PID_NAMESPACE)
    throw new SourceError('denied', path, 'a BPF iterator sees only the processes of its own pid namespace');
  return BpfIterator.load(openLibbpf(), 'kvm');
}
