import type { Host } from '../../probes/host.ts';
import { type Disk, readDisks } from '../../probes/sys-block.ts';
import { type CpuTopology, readCpuTopology, readTopologyMark } from '../../probes/sys-cpu.ts';
import type { Problems } from './problems.ts';

/** Disks and CPUs of the host, which change when hardware comes or goes. */
export class HostFacts {
  disks: readonly Disk[] = [];
  /** undefined where the kernel does not tell. */
  topology: CpuTopology | undefined;
  #mark = '';

  refresh(host: Host, problems: Problems): void {
    this.disks = problems.attempt('block', () => readDisks(host), []);
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
