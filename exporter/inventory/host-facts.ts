import type { Host } from '../../probes/host.ts';
import { type Disk, readDisks } from '../../probes/sys-block.ts';
import { type CpuTopology, readCpuTopology, readTopologyMark } from '../../probes/sys-cpu.ts';
import { readFileSystemDevices } from '../../probes/sys-fs-devices.ts';
import type { Problems } from './problems.ts';

/** Disks and CPUs of the host, which change only with hot-plug. */
export class HostFacts {
  disks: readonly Disk[] = [];
  disksByName: ReadonlyMap<string, Disk> = new Map();
  /** Kernel names of the devices of each file system that may have several. */
  fileSystems: readonly (readonly string[])[] = [];
  /** undefined if the kernel does not report it. */
  topology: CpuTopology | undefined;
  #mark = '';

  refresh(host: Host, problems: Problems): void {
    this.disks = problems.attempt('block', () => readDisks(host), []);
    this.disksByName = new Map(this.disks.map((disk) => [disk.name, disk]));
    this.fileSystems = problems.attempt('block', () => readFileSystemDevices(host), []);
    problems.attempt('cpus', () => this.#refreshTopology(host), undefined);
  }

  #refreshTopology(host: Host): void {
    const mark = readTopologyMark(host);
    if (this.topology !== undefined && mark === this.#mark) return;
    this.topology = undefined;
    this.topology = readCpuTopology(host);
    this.#mark = mark;
  }
}
