import { STAGES } from '../../exporter/metrics/stages.ts';

/**
 * The paper's stages for one fast device (6.3.2), and its measurements with four SATA devices (6.1.1, Table
 * 1).
 */
export const CONFIGURATIONS = [...STAGES, 'sata_data_plane', 'sata_polling', 'sata_polling_saving'] as const;

export type Configuration = (typeof CONFIGURATIONS)[number];

/** The maximum load of a VM of the paper (six vCPUs). CPU time is in CPUs: 1 is 100%. */
export interface Calibration {
  /** I/Os per second of 4 KiB each: random reads, unless the VM writes. */
  readonly iops: number;
  /** Kicks by the guest per I/O. */
  readonly kicksPerIo: number;
  /**
   * Completion interrupts per I/O. Without APICv each costs an exit for the injection and one for its EOI.
   */
  readonly interruptsPerIo: number;
  /** Per vCPU: time in the guest, and time outside of it for the guest's exits. */
  readonly vcpuGuest: number;
  readonly vcpuSystem: number;
  /** Sum over all I/O threads. */
  readonly ioUser: number;
  readonly ioSystem: number;
  readonly ioThreadsPerDisk: number;
  /** Virtqueues per disk; undefined: one per vCPU. */
  readonly queues: number | undefined;
  readonly choice: 'round_robin' | 'own';
  readonly pinned: boolean;
  /** QEMU's poll-max-ns of the IOThreads; 0 disables polling. */
  readonly pollMaxNs: number;
  /** Voluntary context switches per I/O: as many of I/O threads as of vCPUs. */
  readonly switchesPerIo: number;
  /** Per busy thread and second. */
  readonly migrations: number;
  /** Seconds that a thread waits for a CPU, per second that it runs. */
  readonly waitShare: number;
}

/** 2.3.2: "three exits occur in KVM": to notify QEMU, to inject the interrupt, for the EOI. 1: with "two context switches". */
const INTERRUPTS = { kicksPerIo: 1, interruptsPerIo: 1, switchesPerIo: 1, pollMaxNs: 0 };
/**
 * 4.1: polling removes all three. Assumption: a few remain, because the polling threads sleep under low load
 * (6.1.1: "it uses busy polling only if there are many I/O requests ... otherwise, it comes to sleep").
 * Assumption: poll-max-ns is QEMU's default.
 */
const POLLING = { kicksPerIo: 0.05, interruptsPerIo: 0.03, switchesPerIo: 0.03, pollMaxNs: 32_768 };
/**
 * 4.1.2: "the vCPU and the I/O threads of QEMU switch their CPUs depending on the system load". The numbers
 * are assumptions.
 */
const ROAMING = { pinned: false, migrations: 25, waitShare: 0.04 };
const PINNED = { pinned: true, migrations: 0, waitShare: 0.002 };
/** 2.3.1: one I/O thread per device, as in data plane, and the single queue that virtio-blk had. */
const ONE_QUEUE = { ioThreadsPerDisk: 1, queues: 1, choice: 'round_robin' } as const;
/**
 * Outside of Table 1 the CPU shares are assumptions: six busy vCPUs; the I/O thread of a single device uses a
 * full CPU (2.3.1: "limited to a single I/O thread at maximum"); 4.1: "40% of the total CPU cycles are used
 * for the data plane and most ... in the spin lock in KVM" without polling; 6.3.7: NVMe with polling takes
 * slightly more CPU rather than less.
 */
const SINGLE_IO_THREAD = { ioUser: 0.26, ioSystem: 0.72 };

export const CALIBRATION: Readonly<Record<Configuration, Calibration>> = {
  // 6.3.2, Fig. 15: "about 95K IOPS was obtained without any components of the methodology applied".
  original: {
    iops: 95_000,
    vcpuGuest: 0.58,
    vcpuSystem: 0.4,
    ...SINGLE_IO_THREAD,
    ...ONE_QUEUE,
    ...INTERRUPTS,
    ...ROAMING,
  },
  // 6.3.2: "pinning vCPUs and batching memory with consideration of the processor affinity ... 135K IOPS".
  // Assumption: this removes no exits.
  affinity: {
    iops: 135_000,
    vcpuGuest: 0.62,
    vcpuSystem: 0.36,
    ...SINGLE_IO_THREAD,
    ...ONE_QUEUE,
    ...INTERRUPTS,
    ...PINNED,
  },
  // 6.3.2: "The exitless polling result was 200K IOPS which was obtained while affinity awareness was applied".
  exitless_polling: {
    iops: 200_000,
    vcpuGuest: 0.94,
    vcpuSystem: 0.04,
    ...SINGLE_IO_THREAD,
    ...ONE_QUEUE,
    ...POLLING,
    ...PINNED,
  },
  // 6.3.2: "Parallel batching with three queues led to 250K IOPS"; 5: "three queues and three threads".
  // Assumption: kicks and interrupts become fewer still, after 4.1.1 "batch processing ... leads to reduction
  // in the exit overhead".
  parallel_batching: {
    ...POLLING,
    iops: 250_000,
    vcpuGuest: 0.96,
    vcpuSystem: 0.02,
    ioUser: 0.9,
    ioSystem: 0.9,
    ioThreadsPerDisk: 3,
    queues: 3,
    choice: 'round_robin',
    kicksPerIo: 0.02,
    interruptsPerIo: 0.01,
    switchesPerIo: 0.01,
    ...PINNED,
  },
  // 5: "we obtained 300K IOPS" with "a queue per vCPU". Assumption: it has the exits of half as many kicks.
  pinned_queues: {
    ...POLLING,
    iops: 300_000,
    vcpuGuest: 0.97,
    vcpuSystem: 0.01,
    ioUser: 0.9,
    ioSystem: 0.9,
    ioThreadsPerDisk: 3,
    queues: undefined,
    choice: 'own',
    kicksPerIo: 0.01,
    interruptsPerIo: 0.01,
    switchesPerIo: 0.01,
    ...PINNED,
  },
  // Table 1: 1,000%, six vCPUs at 100% and four I/O threads. IOPS: 2.2.1, "degraded by about 25% compared with the host OS
  // case", which is 250K (6.1.1).
  sata_data_plane: {
    iops: 187_500,
    vcpuGuest: 0.6,
    vcpuSystem: 0.4,
    ioUser: 1,
    ioSystem: 3,
    ...ONE_QUEUE,
    ...INTERRUPTS,
    ...ROAMING,
  },
  // Table 1: 850%; 6.1.1: 240K IOPS, "a request polling thread and a reply polling thread were run for each of the devices".
  sata_polling: {
    iops: 240_000,
    vcpuGuest: 0.96,
    vcpuSystem: 0.04,
    ioUser: 1.3,
    ioSystem: 1.2,
    ...ONE_QUEUE,
    ioThreadsPerDisk: 2,
    ...POLLING,
    ...PINNED,
  },
  // Table 1: 750%; 6.1.1: "nearly 150% was needed for I/O processing", "a single request polling thread runs for two
  // devices", "improved nearly by 10% compared with the data-plane case".
  sata_polling_saving: {
    iops: 206_000,
    vcpuGuest: 0.96,
    vcpuSystem: 0.04,
    ioUser: 0.8,
    ioSystem: 0.7,
    ...ONE_QUEUE,
    ioThreadsPerDisk: 0.5,
    ...POLLING,
    ...PINNED,
  },
};

/**
 * Configurations with polling that is enabled but has no effect: the exits of a VM without polling, and no
 * more I/O than with affinity alone. Assumption.
 */
export const WITHOUT_POLLING: Readonly<Record<Configuration, Calibration>> = Object.fromEntries(
  Object.entries(CALIBRATION).map(([configuration, own]) => {
    if (own.pollMaxNs === 0) return [configuration, own];
    const { iops, vcpuGuest, vcpuSystem, kicksPerIo, interruptsPerIo, switchesPerIo } = CALIBRATION.affinity;
    const lost = { iops, vcpuGuest, vcpuSystem, kicksPerIo, interruptsPerIo, switchesPerIo };
    return [configuration, { ...own, ...lost }];
  }),
) as Record<Configuration, Calibration>;

/** I/O of a VM that loses APICv, and of one whose dirty pages are logged for a migration. Assumptions. */
export const WITHOUT_APICV = 0.75;
export const WITH_DIRTY_LOG = 0.6;
/** Write-protection faults of each vCPU and second while dirty pages are logged: assumption. */
export const DIRTY_FAULTS = 20_000;
/** External interrupts of each vCPU and second for each share of its CPU's time: assumption, 5 us an interrupt. */
export const INTERRUPTS_PER_SHARE = 200_000;

/** 6: "the number of vCPUs was six". The calibration is for this number. */
export const PAPER_VCPUS = 6;
/** 6.3.2: fio with 128 processes, each with one I/O in flight. */
export const PAPER_OUTSTANDING = 128;
/** 1: the XS1715 shows "750K IOPS ... in physical machine environments", the 845DC evo "about 70K". */
export const DEVICE_IOPS = { nvme: 750_000, sata: 70_000 } as const;
/** Service time of one I/O in the device. Assumption. */
export const DEVICE_SECONDS = { nvme: 90e-6, sata: 250e-6 } as const;
/**
 * A write completes when it is in the device's cache; a flush takes as long as the flash needs. Assumptions.
 */
export const WRITE_SECONDS = { nvme: 25e-6, sata: 60e-6 } as const;
export const FLUSH_SECONDS = { nvme: 400e-6, sata: 3e-3 } as const;
/** Writes between two flushes of a guest that writes: one journal commit. Assumption. */
export const WRITES_PER_FLUSH = 100;
export const IO_BYTES = 4096;
/** Total host CPU time of an exit, where the calibration does not give it: assumption. */
export const EXIT_SECONDS = 3e-6;
/** Polling threads begin to sleep below this share of the calibrated rate: assumption, after 6.1.1. */
export const AWAKE_FROM = 0.2;
/** Relative speed of an I/O path across nodes: assumption; 4.1.2 says only that crossing nodes costs. */
export const REMOTE_NODE_SPEED = 0.8;
