/** The paper's ladder for one fast device (6.3.2), and what was measured with four SATA devices (6.1.1, Table 1). */
export const CONFIGURATIONS = [
  'original',
  'affinity',
  'exitless_polling',
  'parallel_batching',
  'pinned_queues',
  'sata_data_plane',
  'sata_polling',
  'sata_polling_saving',
] as const;

export type Configuration = (typeof CONFIGURATIONS)[number];

/** The first five, in order. */
export const LADDER: readonly Configuration[] = CONFIGURATIONS.slice(0, 5);

/** What a VM of the paper (six vCPUs) does when its guest asks for all it can get. CPU is in CPUs: 1 is 100%. */
export interface Calibration {
  /** I/Os a second of 4 KiB each: random reads, where a VM has no writes. */
  readonly iops: number;
  /** Notifications by the guest, for each I/O. */
  readonly kicksPerIo: number;
  /** Completion interrupts: without APICv each costs an exit to inject it and one for its EOI. */
  readonly interruptsPerIo: number;
  /** Of each vCPU: in the guest, and outside of it for the guest's exits. */
  readonly vcpuGuest: number;
  readonly vcpuSystem: number;
  /** Of all I/O threads together. */
  readonly ioUser: number;
  readonly ioSystem: number;
  readonly ioThreadsPerDisk: number;
  /** Virtqueues of each disk; undefined: one for each vCPU. */
  readonly queues: number | undefined;
  readonly choice: 'round_robin' | 'own';
  readonly pinned: boolean;
  /** QEMU's poll-max-ns of its IOThreads; 0 is no polling. */
  readonly pollMaxNs: number;
  /** Voluntary context switches of I/O threads, and as many of vCPUs, for each I/O. */
  readonly switchesPerIo: number;
  /** Of each busy thread, a second. */
  readonly migrations: number;
  /** Time a thread waits for a CPU, for each second that it runs. */
  readonly waitShare: number;
}

/** 2.3.2: "three exits occur in KVM": to notify QEMU, to inject the interrupt, for the EOI. 1: with "two context switches". */
const INTERRUPTS = { kicksPerIo: 1, interruptsPerIo: 1, switchesPerIo: 1, pollMaxNs: 0 };
/**
 * 4.1: polling takes all three away. Assumption: a few are left, as the polling threads sleep when there is little to do
 * (6.1.1: "it uses busy polling only if there are many I/O requests ... otherwise, it comes to sleep"). Assumption:
 * poll-max-ns is QEMU's default.
 */
const POLLING = { kicksPerIo: 0.05, interruptsPerIo: 0.03, switchesPerIo: 0.03, pollMaxNs: 32_768 };
/** 4.1.2: "the vCPU and the I/O threads of QEMU switch their CPUs depending on the system load". The numbers: assumption. */
const ROAMING = { pinned: false, migrations: 25, waitShare: 0.04 };
const PINNED = { pinned: true, migrations: 0, waitShare: 0.002 };
/** 2.3.1: one I/O thread for a device, as data plane has it, and the queue that virtio-blk had. */
const ONE_QUEUE = { ioThreadsPerDisk: 1, queues: 1, choice: 'round_robin' } as const;
/**
 * Outside of Table 1 the shares of CPU are assumptions: six busy vCPUs; the I/O thread of a single device is a full CPU
 * (2.3.1: "limited to a single I/O thread at maximum"); 4.1: "40% of the total CPU cycles are used for the data plane and
 * most ... in the spin lock in KVM" without polling; 6.3.7: NVMe with polling takes rather more CPU than less.
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
  // 6.3.2: "pinning vCPUs and batching memory with consideration of the processor affinity ... 135K IOPS". That no exit
  // goes with it: assumption.
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
  // 6.3.2: "Parallel batching with three queues led to 250K IOPS"; 5: "three queues and three threads". That kicks and
  // interrupts become fewer still: assumption, after 4.1.1 "batch processing ... leads to reduction in the exit overhead".
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
  // 5: "we obtained 300K IOPS" with "a queue per vCPU". That its exits are those of half as many kicks: assumption.
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

/** Configurations whose polling is set and does nothing: exits as without it, and no more I/O than with affinity alone. Assumption. */
export const WITHOUT_POLLING: Readonly<Record<Configuration, Calibration>> = Object.fromEntries(
  Object.entries(CALIBRATION).map(([configuration, own]) => {
    if (own.pollMaxNs === 0) return [configuration, own];
    const { iops, vcpuGuest, vcpuSystem, kicksPerIo, interruptsPerIo, switchesPerIo } = CALIBRATION.affinity;
    const lost = { iops, vcpuGuest, vcpuSystem, kicksPerIo, interruptsPerIo, switchesPerIo };
    return [configuration, { ...own, ...lost }];
  }),
) as Record<Configuration, Calibration>;

/** 6: "the number of vCPUs was six". The calibration is for as many. */
export const PAPER_VCPUS = 6;
/** 6.3.2: fio with 128 processes, each of which has one I/O under way. */
export const PAPER_OUTSTANDING = 128;
/** 1: the XS1715 shows "750K IOPS ... in physical machine environments", the 845DC evo "about 70K". */
export const DEVICE_IOPS = { nvme: 750_000, sata: 70_000 } as const;
/** What one I/O takes in the device itself. Assumption. */
export const DEVICE_SECONDS = { nvme: 90e-6, sata: 250e-6 } as const;
/** A write is done when it is in the device's cache; a flush takes what the flash takes. Assumptions. */
export const WRITE_SECONDS = { nvme: 25e-6, sata: 60e-6 } as const;
export const FLUSH_SECONDS = { nvme: 400e-6, sata: 3e-3 } as const;
/** Writes between two flushes, of a guest that writes: a journal's commit. Assumption. */
export const WRITES_PER_FLUSH = 100;
export const IO_BYTES = 4096;
/** All that an exit costs the host, where the calibration does not say: assumption. */
export const EXIT_SECONDS = 3e-6;
/** Below this share of the calibrated rate polling threads begin to sleep: assumption, after 6.1.1. */
export const AWAKE_FROM = 0.2;
/** What an I/O path across nodes is worth: assumption; 4.1.2 says only that it costs. */
export const REMOTE_NODE_SPEED = 0.8;
