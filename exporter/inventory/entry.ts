import { isGone } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { readDescriptor } from '../../probes/proc-pid-fd.ts';
import { livesOn } from '../../probes/proc-task-stat.ts';
import type { FilesByUse, OtherFiles } from '../../probes/qemu-files.ts';
import type { MonitorHints, Vm } from '../model/vm.ts';
import { type Identity, identify } from './identity.ts';
import { type Candidate, isKvmVm } from './processes.ts';
import { ThreadTable } from './thread-table.ts';

/** A VM, and the data with which the inventory reads it again. */
export interface Entry {
  readonly kvmFd: number | undefined;
  readonly identity: Identity;
  readonly threads: ThreadTable;
  hints: MonitorHints | undefined;
  /** From libvirt; undefined if libvirt does not manage the VM. */
  files: FilesByUse | undefined;
  /** As of the last read of its disks; undefined before the first. */
  otherFiles: OtherFiles | undefined;
  vm: Vm;
}

/** @returns undefined if the process is no VM. @throws SourceError if the process cannot be read */
export async function admit(host: Host, candidate: Candidate): Promise<Entry | undefined> {
  const identity = await identify(host, candidate);
  if (identity === undefined) return undefined;
  const { pid, stat, kvmFd } = candidate;
  const { name, uuid, vmm, accel, machine, iothreadIds, diskIds, monitors, devices } = identity;
  const { confidential, ioPath, vmid } = identity;
  const vm: Vm = {
    key: `${pid}:${stat.startTime}`,
    label: '',
    name,
    uuid,
    vmm,
    manager: '',
    accel,
    machine,
    vmid,
    pid,
    startTime: stat.startTime,
    directories: [],
    blockDevices: [],
    unknownDevices: [],
    vcpuThreads: new Map(),
    kvmVcpus: new Map(),
    iothreadIds,
    diskIds,
    iothreadThreads: new Map(),
    monitors,
    domain: '',
    pins: undefined,
    libvirtDisks: undefined,
    devices,
    confidential,
    ioPath,
    passthrough: undefined,
  };
  const threads = new ThreadTable();
  return { kvmFd, identity, threads, hints: undefined, files: undefined, otherFiles: undefined, vm };
}

/**
 * If the process cannot be read for another reason than its exit, the VM counts as running: dropping it would
 * reset its counters.
 */
export function isAlive(host: Host, { vm, kvmFd }: Entry): boolean {
  if (!livesOn(host, vm)) return false;
  try {
    return kvmFd === undefined || isKvmVm(readDescriptor(host, vm.pid, kvmFd));
  } catch (error) {
    return !isGone(error);
  }
}
