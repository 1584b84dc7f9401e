import { SECTOR_SIZE } from '../../kernel/units.ts';
import { DEVICE_IOPS, DEVICE_SECONDS, FLUSH_SECONDS, IO_BYTES, WRITE_SECONDS } from './calibration.ts';
import { Meter, Meters } from './random.ts';

export interface DiskSpec {
  readonly name: string;
  readonly kind: 'nvme' | 'sata';
  readonly node: number;
  readonly hardwareQueues: number;
}

export type Operation = 'read' | 'write' | 'flush';

const SECONDS = { read: DEVICE_SECONDS, write: WRITE_SECONDS, flush: FLUSH_SECONDS } as const;

/** One kind of operation on a disk of the host. */
export class Operations {
  readonly done = new Meter();
  /** Milliseconds, as in the kernel. */
  readonly ms = new Meter();
  inflight = 0;
  #reported = 0;

  /** @returns the number of operations since the last call */
  take(): number {
    const since = this.done.value - this.#reported;
    this.#reported = this.done.value;
    return since;
  }
}

/** A disk of the host: the counters of /sys/block/<disk>/stat, and the interrupts of its hardware queues. */
export class SimDisk {
  readonly of: Readonly<Record<Operation, Operations>> = {
    read: new Operations(),
    write: new Operations(),
    flush: new Operations(),
  };
  readonly busyMs = new Meter();
  /** Key: `queue cpu`. */
  readonly interrupts = new Meters();
  isStalled = false;
  /** Factor on the time of every operation. */
  slowness = 1;
  /** I/Os per second that were requested in this step. */
  asked = 0;

  constructor(
    readonly spec: DiskSpec,
    readonly index: number,
    /** The CPUs that submit to each hardware queue. */
    readonly queueCpus: readonly (readonly number[])[],
  ) {}

  /** Linux: block major 259 for NVMe (blk-ext), 8 with 16 minors a disk for SCSI. */
  get device(): { major: number; minor: number } {
    return this.spec.kind === 'nvme'
      ? { major: 259, minor: this.index }
      : { major: 8, minor: this.index * 16 };
  }

  sectors(operation: 'read' | 'write'): number {
    return (this.of[operation].done.value * IO_BYTES) / SECTOR_SIZE;
  }

  /** Service time of one operation. */
  seconds(operation: Operation): number {
    return SECONDS[operation][this.spec.kind] * this.slowness;
  }

  /** The share of the requested I/Os that the disk can serve. */
  get share(): number {
    if (this.isStalled) return 0;
    return this.asked === 0 ? 1 : Math.min(1, DEVICE_IOPS[this.spec.kind] / this.slowness / this.asked);
  }

  /**
   * Accounts the I/Os that guests completed in a step.
   * @param outstanding I/Os that the guests wait for
   */
  run(dt: number, outstanding: number): void {
    let left = outstanding;
    let load = 0;
    for (const operation of ['read', 'write', 'flush'] as const) {
      const own = this.of[operation];
      const seconds = own.take() * this.seconds(operation);
      own.ms.add(seconds * 1000);
      // Little's law: the number in flight is the rate times the service time. Before time has passed there is no
      // rate.
      const mean = dt === 0 ? 0 : seconds / dt;
      load += mean;
      own.inflight = Math.min(left, Math.round(mean));
      left -= own.inflight;
    }
    // Stalled I/Os count as reads.
    if (this.isStalled) this.of.read.inflight = outstanding;
    this.busyMs.add((this.isStalled ? Number(outstanding > 0) : Math.min(1, load)) * dt * 1000);
  }

  /** Interrupts of I/Os that this CPU submitted: one per I/O, as with MSI-X of NVMe without coalescing. */
  interrupt(cpu: number, ios: number): void {
    const queue = this.queueOf(cpu);
    this.interrupts.add(`${queue} ${this.interruptCpu(queue)}`, ios);
  }

  /** The first CPU of the queue gets its interrupts. */
  interruptCpu(queue: number): number {
    return this.queueCpus[queue]?.[0] ?? 0;
  }

  queueOf(cpu: number): number {
    return Math.max(
      0,
      this.queueCpus.findIndex((cpus) => cpus.includes(cpu)),
    );
  }
}

/**
 * Spreads CPUs over queues as lib/group_cpus.c does: each node has its own queues.
 * @param nodes CPUs of each node
 */
export function spreadQueues(nodes: readonly (readonly number[])[], queues: number): number[][] {
  const perNode = Math.max(1, Math.floor(queues / nodes.length));
  const spread = Array.from({ length: queues }, (): number[] => []);
  for (const [node, cpus] of nodes.entries()) {
    for (const [i, cpu] of cpus.entries()) spread[(node * perNode + (i % perNode)) % queues]?.push(cpu);
  }
  return spread;
}
