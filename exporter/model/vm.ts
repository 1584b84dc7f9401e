import type { KvmDebugfsContent } from '../../probes/kvm-debugfs.ts';
import type { LibvirtDisk, LibvirtPins } from '../../probes/libvirt-domain.ts';
import type { VmMetadata } from '../../probes/libvirt-metadata.ts';
import type { ConfidentialType } from '../../probes/qemu-confidential.ts';
import type { QemuDevices } from '../../probes/qemu-devices.ts';
import type { FilesByUse } from '../../probes/qemu-files.ts';
import type { QemuIoPath, QemuIoSign } from '../../probes/qemu-io-path.ts';
import type { VfioDevice } from '../../probes/sys-iommu-groups.ts';
import type { Task } from '../../probes/task.ts';
import type { Role } from './roles.ts';
import type { Vmm } from './vmm.ts';

/**
 * A block device under a VM's disk. Depth 0 is the device that the VMM has open, or the file system of an
 * image.
 */
export interface BlockDeviceUse {
  readonly device: string;
  readonly depth: number;
}

/** Devices of the host that a VM has open and whose I/O does not pass the host's block layer, or QEMU. */
export interface Passthrough {
  readonly vfio: readonly VfioDevice[];
  /** Paths of character devices: `/dev/vhost-vdpa-0`. */
  readonly vdpa: readonly string[];
  /** `/dev/ng0n1`, for io_uring passthrough. */
  readonly hasNvmeCharacterDevice: boolean;
  readonly hasVhostScsi: boolean;
}

export interface KvmDirectory {
  readonly name: string;
  readonly content: KvmDebugfsContent;
}

/** One incarnation of a VM in the inventory. */
export interface Vm {
  /** `<pid>:<startTime>`. */
  readonly key: string;
  /** The unique `vm` label. */
  readonly label: string;
  /** The user's name for the VM, valid as a label; else a UUID or path of the VM; else the pid. */
  readonly name: string;
  readonly uuid: string;
  readonly vmm: Vmm;
  /** The VM's manager; empty if none is known. */
  readonly manager: 'libvirt' | '';
  readonly accel: 'kvm' | 'tcg';
  /** QEMU's machine type; empty for others. */
  readonly machine: string;
  /** Its number in Proxmox VE, as its command line claims it; undefined elsewhere. */
  readonly vmid?: number | undefined;
  readonly pid: number;
  /** Start time of the process, in ticks since boot. */
  readonly startTime: number;
  /** Its directories in KVM's debugfs. All known VMMs have one per VM. Empty if debugfs is not available. */
  readonly directories: readonly KvmDirectory[];
  readonly blockDevices: readonly BlockDeviceUse[];
  /** Why `blockDevices` may be incomplete. */
  readonly unknownDevices: readonly string[];
  /** Index of the vCPU by thread id, from KVM's debugfs or libvirt; empty if neither reports it. */
  readonly vcpuThreads: ReadonlyMap<number, number>;
  /**
   * KVM's id of the vCPU by the thread that ran it last, from the kernel; empty without BPF. The id may be the APIC id, so a
   * name with an index precedes it.
   */
  readonly kvmVcpus: ReadonlyMap<number, number>;
  /** Ids of its IOThreads in the order of creation, from the command line. */
  readonly iothreadIds: readonly string[];
  /** Disk ids that the user of Cloud Hypervisor set. Cloud Hypervisor names threads after them. */
  readonly diskIds: readonly string[];
  /** Id of the IOThread by thread id, from QEMU's monitor; empty if the monitor is not used. */
  readonly iothreadThreads: ReadonlyMap<number, string>;
  /** QMP sockets from its command line. */
  readonly monitors: readonly string[];
  /** libvirt's own name of the VM, not converted to a label; empty if libvirt does not manage it. */
  readonly domain: string;
  /** Pins from libvirt's XML; undefined if libvirt does not manage the VM. */
  readonly pins: LibvirtPins | undefined;
  readonly libvirtDisks: readonly LibvirtDisk[] | undefined;
  /** libvirt's long job: `migration out`, ...; empty or absent: none. */
  readonly job?: string;
  /** Type of a confidential guest, by its configuration. KVM's own report precedes it. */
  readonly confidential: ConfidentialType | undefined;
  /** Signs of I/O that the host does not see, from its configuration; undefined if part of that is unknown. */
  readonly ioPath: QemuIoPath | undefined;
  /** The same for devices that were plugged in later, from QEMU's monitor. */
  readonly monitorSigns?: ReadonlySet<QemuIoSign>;
  /** Devices of the host that it has open; undefined before its descriptors are read. */
  readonly passthrough: Passthrough | undefined;
  /** Names of its tap devices; absent before its descriptors are read. */
  readonly taps?: readonly string[];
  /** Its cloud's metadata, from libvirt; undefined if libvirt does not manage it. */
  readonly metadata?: VmMetadata | undefined;
  /**
   * Devices of its configuration; undefined for a VMM other than QEMU, and if part of the configuration is
   * unknown.
   */
  readonly devices: QemuDevices | undefined;
}

/** Thread ids and open files from QEMU's monitor. */
export interface MonitorHints {
  /** Index of the vCPU by thread id. */
  readonly vcpus: ReadonlyMap<number, number>;
  /** Id of the IOThread by thread id. */
  readonly iothreads: ReadonlyMap<number, string>;
  readonly files: FilesByUse;
  /** Signs of I/O that the host does not see, of its present devices. */
  readonly signs: ReadonlySet<QemuIoSign>;
}

export interface VmThread {
  readonly tid: number;
  /** Ticks since boot. tid and start time identify one incarnation. */
  readonly startTime: number;
  readonly comm: string;
  readonly role: Role;
  /** The `thread` label, such as `vcpu0`. For roles without long-lived threads it is the role. */
  readonly label: string;
  /** `/proc/<pid>/task/<tid>`, or `/proc/<tid>` for a vhost worker that is a kernel thread. */
  readonly path: string;
}

/** A thread with its data in the kernel. */
export interface ThreadObservation {
  readonly thread: VmThread;
  readonly task: Task;
}
