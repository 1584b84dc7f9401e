import {
  CALIBRATION,
  type Calibration,
  type Configuration,
  PAPER_OUTSTANDING,
  PAPER_VCPUS,
  WITH_DIRTY_LOG,
  WITHOUT_APICV,
  WITHOUT_POLLING,
} from './calibration.ts';
import { SimCgroup } from './cgroup.ts';
import type { Operation, SimDisk } from './disk.ts';
import { Meter, Meters } from './random.ts';
import type { SimThread } from './thread.ts';
import { type ReasonName, SimVcpu } from './vcpu.ts';

/** The thread that sends a VM's memory, as QEMU names it since 9.1. */
export const MIGRATION = 'mig/src/main';

export interface VmSpec {
  readonly name: string;
  readonly configuration: Configuration;
  /** The paper's VM has six. */
  readonly vcpus?: number;
  /** Disks of the host that hold its images; the first one by default. */
  readonly disks?: readonly string[];
  /** I/Os per second that its guest requests; unlimited by default. */
  readonly iops?: number;
  /** Share of writes among its I/Os; 0 by default, as in the paper. */
  readonly writes?: number;
  /** Bytes of each I/O as QEMU counts them, 4 KiB by default. The host's disk counts 4 KiB. */
  readonly ioBytes?: number;
  /** Node of its CPUs and memory; the node of its first disk by default. */
  readonly node?: number;
  readonly memoryMiB?: number;
  /** Posted interrupts: no exits for injections or EOIs. */
  readonly apicv?: boolean;
  /** libvirt manages it. */
  readonly libvirt?: boolean;
  /** It has a monitor in /run/kvm-telemetry/qmp. */
  readonly qmp?: boolean;
  /** A network device on vhost-net. */
  readonly vhostNet?: boolean;
  /** aio=io_uring with an SQPOLL thread. */
  readonly sqpoll?: boolean;
}

export interface ExitStorm {
  readonly perSecond: number;
  readonly reason: ReasonName;
}

/** One kind of operation, as QEMU counts it. */
export class VmOperations {
  readonly done = new Meter();
  readonly ns = new Meter();
}

/** A disk of a VM: an image in a file system on a disk of the host. */
export interface VmDisk {
  /** Id of the device in the guest. */
  readonly id: string;
  readonly file: string;
  readonly host: SimDisk;
  readonly of: Readonly<Record<Operation, VmOperations>>;
}

/** Injected faults of a VM. */
export interface Faults {
  storm?: ExitStorm;
  isStalled?: boolean;
  /** Share of each vCPU's time. */
  wastesHaltPolls?: number;
  pollingLost?: boolean;
  usesOneQueue?: boolean;
  /** Factor on the time of an exit. */
  exitSlowness?: number;
  monitorHangs?: boolean;
  /** KVM stopped using APICv for it. */
  apicvLost?: boolean;
  /** QEMU sends it to another host. */
  isMigrating?: boolean;
  /** Share of the time that the guest waits for its memory, which is in swap. */
  swaps?: number;
  /** Its CPUs run at this share of their frequency. */
  frequency?: number;
  /** Share of the time of its vCPUs' CPUs that interrupts of the host take. */
  interrupts?: number;
}

/** Resources that a host gives to a new VM. */
export interface VmDependencies {
  readonly spec: VmSpec;
  readonly id: number;
  readonly uuid: string;
  readonly threads: readonly SimThread[];
  readonly disks: readonly VmDisk[];
  readonly node: number;
}

/** One run of a VM. A reboot creates a new object. */
export class SimVm {
  readonly spec: VmSpec;
  /** libvirt's id; socket inodes derive from it. */
  readonly id: number;
  readonly uuid: string;
  readonly node: number;
  threads: readonly SimThread[];
  /** Threads that ended since their files were written. */
  ended: readonly SimThread[] = [];
  readonly vcpus: readonly SimVcpu[];
  readonly ioThreads: readonly SimThread[];
  readonly disks: readonly VmDisk[];
  /** Expected affinity by thread id, as in libvirt's XML. */
  pins: ReadonlyMap<number, readonly number[]> = new Map();
  configuration: Configuration;
  iops: number;
  faults: Faults = {};
  readonly cgroup = new SimCgroup();
  /** Its memory in swap. */
  swappedBytes = 0;
  /** Of its first IOThread, if libvirt manages it. */
  readonly ioCgroup = new SimCgroup();
  /** Key: `disk:queue:vcpu`. */
  readonly kicks = new Meters();
  /** Key: `disk:vcpu`. */
  readonly requests = new Meters();
  readonly writes = new Meters();
  readonly interrupts = new Meters();
  /** Totals since the start: I/Os, kicks, injections, EOIs, exits. */
  readonly totals = { ios: 0, kicks: 0, injections: 0, eois: 0, exits: 0 };

  constructor(parts: VmDependencies) {
    this.spec = parts.spec;
    this.id = parts.id;
    this.uuid = parts.uuid;
    this.node = parts.node;
    this.threads = parts.threads;
    this.disks = parts.disks;
    this.configuration = parts.spec.configuration;
    this.iops = parts.spec.iops ?? Number.POSITIVE_INFINITY;
    const ofRole = (role: string): SimThread[] => parts.threads.filter(({ spec }) => spec.role === role);
    this.vcpus = ofRole('vcpu').map((thread, i) => new SimVcpu(i, thread));
    this.ioThreads = ofRole('iothread');
  }

  get name(): string {
    return this.spec.name;
  }

  get pid(): number {
    return this.threads[0]?.tid ?? 0;
  }

  get calibration(): Calibration {
    return (this.faults.pollingLost === true ? WITHOUT_POLLING : CALIBRATION)[this.configuration];
  }

  /** I/Os in flight. A saturated guest always has its maximum in flight. */
  get outstanding(): number {
    return Math.max(1, Math.min(PAPER_OUTSTANDING, Math.ceil(this.iops / 1000)));
  }

  /** Interrupts reach the guest without an exit. */
  get hasApicv(): boolean {
    return this.spec.apicv === true && this.faults.apicvLost !== true;
  }

  /** I/O that the same CPU time does, compared with the calibration. */
  get efficiency(): number {
    const { apicvLost, isMigrating, frequency = 1, swaps = 0 } = this.faults;
    return (
      (1 - swaps) *
      frequency *
      (apicvLost === true ? WITHOUT_APICV : 1) *
      (isMigrating === true ? WITH_DIRTY_LOG : 1)
    );
  }

  get queues(): number {
    return this.calibration.queues ?? this.vcpus.length;
  }

  /**
   * I/Os per second that the VM can do. Assumption: proportional to the vCPUs if it has fewer than the
   * paper's VM.
   */
  get capacity(): number {
    return this.calibration.iops * Math.min(1, this.vcpus.length / PAPER_VCPUS);
  }

  /** The I/O thread that serves a queue of a disk. */
  ioThreadOf(disk: number, queue: number): SimThread | undefined {
    const all = this.ioThreads;
    if (all.length <= this.disks.length) return all[disk % all.length];
    const perDisk = Math.floor(all.length / this.disks.length);
    return all[disk * perDisk + (queue % perDisk)];
  }

  /** The queues that a vCPU submits to. */
  queuesOf(vcpu: number): readonly number[] {
    const { queues } = this;
    if (this.faults.usesOneQueue === true) return [0];
    return this.calibration.choice === 'own'
      ? [vcpu % queues]
      : Array.from({ length: queues }, (_, queue) => queue);
  }

  /** Guest-physical address at which a queue is notified: VIRTIO 1.2, 4.1.4.4, with QEMU's multiplier of 4. */
  notifyAddress(disk: number, queue: number): number {
    return this.notifyWindow(disk).address + 0x3000 + queue * 4;
  }

  /** The window of a disk's virtio device, as large as QEMU makes it. */
  notifyWindow(disk: number): { readonly address: number; readonly size: number } {
    return { address: 0xfe000000 + disk * 0x4000, size: 0x4000 };
  }
}

export function ioThreadCount(configuration: Configuration, disks: number): number {
  return Math.max(1, Math.round(CALIBRATION[configuration].ioThreadsPerDisk * disks));
}
