import type { KvmDebugfsContent } from '../../probes/kvm-debugfs.ts';
import type { LibvirtDisk, LibvirtPins } from '../../probes/libvirt-domain.ts';
import type { TaskStat } from '../../probes/proc-task-stat.ts';
import type { QemuDevices } from '../../probes/qemu-devices.ts';
import type { Role } from './roles.ts';
import type { Vmm } from './vmm.ts';

/** A block device that carries a VM's disk; depth 0 is what the VMM has open, or the file system of an image. */
export interface BlockDeviceUse {
  readonly device: string;
  readonly depth: number;
}

export interface KvmDirectory {
  readonly name: string;
  readonly content: KvmDebugfsContent;
}

/** One incarnation of a VM, as the inventory knows it. */
export interface Vm {
  /** `<pid>:<startTime>`. */
  readonly key: string;
  /** The unique `vm` label. */
  readonly label: string;
  /** The name that its user gave it, fit for a label; else a UUID or path of its own; else the pid. */
  readonly name: string;
  readonly uuid: string;
  readonly vmm: Vmm;
  /** Who manages it: `libvirt`, or nothing that is known. */
  readonly manager: 'libvirt' | '';
  readonly accel: 'kvm' | 'tcg';
  /** QEMU's machine type; empty for others. */
  readonly machine: string;
  readonly pid: number;
  /** Of the process, in ticks since boot. */
  readonly startTime: number;
  /** Its directories in KVM's debugfs; one for all VMMs known. Empty where debugfs is not available. */
  readonly directories: readonly KvmDirectory[];
  readonly blockDevices: readonly BlockDeviceUse[];
  /** Why images of it have no block device that is known, in words. */
  readonly withoutDevice: readonly string[];
  /** Index of the vCPU by thread id, from KVM's debugfs or libvirt; empty where neither tells. */
  readonly vcpuThreads: ReadonlyMap<number, number>;
  /** Ids of its IOThreads in the order in which they are made, from the command line. */
  readonly iothreadIds: readonly string[];
  /** Ids that the user of Cloud Hypervisor gave to disks: its threads are called after them. */
  readonly diskIds: readonly string[];
  /** Id of the IOThread by thread id, from QEMU's monitor; empty where it is not asked. */
  readonly iothreadThreads: ReadonlyMap<number, string>;
  /** Sockets on which its command line says that it listens for QMP. */
  readonly monitors: readonly string[];
  /** libvirt's own name of it, not made fit for a label; empty where libvirt does not manage it. */
  readonly domain: string;
  /** Pins that libvirt's XML asks for; undefined where libvirt does not manage it. */
  readonly pins: LibvirtPins | undefined;
  readonly libvirtDisks: readonly LibvirtDisk[] | undefined;
  /** What its configuration asks for; undefined for another VMM than QEMU, and where not all of it is known. */
  readonly devices: QemuDevices | undefined;
}

/** What QEMU's monitor says of a VM's threads. */
export interface ThreadHints {
  /** Index of the vCPU by thread id. */
  readonly vcpus: ReadonlyMap<number, number>;
  /** Id of the IOThread by thread id. */
  readonly iothreads: ReadonlyMap<number, string>;
}

export interface VmThread {
  readonly tid: number;
  /** Ticks since boot: with the tid it names one incarnation. */
  readonly startTime: number;
  readonly comm: string;
  readonly role: Role;
  /** The `thread` label: `vcpu0`; for roles without lasting threads the role itself. */
  readonly label: string;
  /** `/proc/<pid>/task/<tid>`, or `/proc/<tid>` for a vhost worker that is a kernel thread. */
  readonly path: string;
}

/** A thread with the stat that was read to identify it. */
export interface ThreadObservation {
  readonly thread: VmThread;
  readonly stat: TaskStat;
}
