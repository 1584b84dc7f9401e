import { append } from '../../kernel/maps.ts';
import type { Host } from '../../probes/host.ts';
import {
  type KvmDebugfsDirectory,
  listKvmDebugfs,
  readKvmDebugfsContent,
  readKvmVcpuThread,
} from '../../probes/kvm-debugfs.ts';
import { listTids } from '../../probes/proc-pids.ts';
import { type Incarnation, livesOn } from '../../probes/proc-task-stat.ts';
import type { KvmDirectory } from '../model/vm.ts';
import type { Problems } from './problems.ts';

/** Lists the VMs in KVM's debugfs. Empty, with a reported problem, if debugfs is not available. */
export function kvmDirectories(host: Host, problems: Problems): KvmDebugfsDirectory[] {
  return problems.attempt('kvm_debugfs', () => listKvmDebugfs(host), []);
}

/**
 * Maps each directory to its process. KVM names a directory after the thread that created the VM, which may
 * be any thread of the VMM and may have exited since.
 */
export function directoryOwners(
  host: Host,
  vms: readonly Incarnation[],
  directories: readonly KvmDebugfsDirectory[],
  problems: Problems,
): Map<number, string[]> {
  const owners = new Map<number, string[]>();
  const strays: KvmDebugfsDirectory[] = [];
  const pids = new Set(vms.map(({ pid }) => pid));
  for (const directory of directories) {
    if (pids.has(directory.tid)) append(owners, directory.tid, directory.name);
    else strays.push(directory);
  }
  if (strays.length === 0) return owners;
  const processOf = new Map<number, number>();
  for (const vm of vms) {
    const { pid } = vm;
    if (owners.has(pid)) continue;
    const lives = (): boolean => livesOn(host, vm);
    const tids = problems.attempt('inventory', () => listTids(host, pid), [], lives);
    for (const tid of tids) processOf.set(tid, pid);
  }
  if (processOf.size === 0) return owners;
  for (const { name, tid } of strays) {
    const pid = processOf.get(tid) ?? processOf.get(vcpu0Thread(host, name, problems));
    if (pid !== undefined) append(owners, pid, name);
  }
  return owners;
}

function vcpu0Thread(host: Host, name: string, problems: Problems): number {
  return problems.attempt('kvm_debugfs', () => readKvmVcpuThread(host, name, 0), undefined) ?? -1;
}

/** A directory is read once, and again when its number of entries changes: hot-plugged vCPUs add entries. */
export function readDirectory(host: Host, name: string, known: readonly KvmDirectory[]): KvmDirectory {
  const before = known.find((directory) => directory.name === name);
  const entries = host.entries(`${host.roots.debugfs}/kvm/${name}`).length;
  if (before !== undefined && entries === before.content.entries) return before;
  return { name, content: readKvmDebugfsContent(host, name) };
}

/** The index of each vCPU by its thread, as far as KVM reports it. */
export function vcpuThreadsOf(
  host: Host,
  directories: readonly KvmDirectory[],
  problems: Problems,
): Map<number, number> {
  const threads = new Map<number, number>();
  for (const { name, content } of directories) {
    for (const vcpu of content.vcpus) {
      const tid = problems.attempt('kvm_debugfs', () => readKvmVcpuThread(host, name, vcpu), undefined);
      if (tid !== undefined) threads.set(tid, vcpu);
    }
  }
  return threads;
}
