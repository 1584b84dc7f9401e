import { DEVICE_IOPS, DEVICE_SECONDS, FLUSH_SECONDS, IO_BYTES, WRITE_SECONDS } from './calibration.ts';
import { Meter, Meters } from './random.ts';

export interface DiskSpec {
  readonly name: string;
  readonly kind: 'nvme' | 'sata';
  readonly node: number;
  readonly hardwareQueues: number;
}

const SECTOR = 512;

export type Operation = 'read' | 'write' | 'flush';

const SECONDS = { read: DEVICE_SECONDS, write: WRITE_SECONDS, flush: FLUSH_SECONDS } as const;

/** One kind of operation on a disk of the host. */
export class Operations {
  readonly done = new Meter();
  /** Milliseconds, as the kernel has them. */
  readonly ms = new Meter();
  inflight = 0;
  #told = 0;

  /** @returns how many there were since the last time */
  take(): number {
    const since = this.done.value - this.#told;
    this.#told = this.done.value;
    return since;
  }
}

/** A disk of the host: what /sys/block/<disk>/stat counts, and the interrupts of its hardware queues. */
export class SimDisk {
  readonly of: Readonly<Record<Operation, Operations>> = {
    read: new Operations(),
    write: new Operations(),
    flush: new Operations(),
  };
  readonly busyMs = new Meter();
  /** By `queue cpu`. */
  readonly interrupts = new Meters();
  isStalled = false;
  /** Everything takes so many times as long. */
  slowness = 1;
  /** I/Os a second that were asked of it in this step. */
  asked = 0;

  constructor(
    readonly spec: DiskSpec,
    readonly index: number,
    /** Those that each hardware queue takes its requests from. */
    readonly queueCpus: readonly (readonly number[])[],
  ) {}

  /** Linux: block major 259 for NVMe (blk-ext), 8 with 16 minors a disk for SCSI. */
  get device(): { major: number; minor: number } {
    return this.spec.kind === 'nvme'
      ? { major: 259, minor: this.index }
      : { major: 8, minor: this.index * 16 };
  }

  sectors(operation: 'read' | 'write'): number {
    return (this.of[operation].done.value * IO_BYTES) / SECTOR;
  }

  /** What one of them takes in it. */
  seconds(operation: Operation): number {
    return SECONDS[operation][this.spec.kind] * this.slowness;
  }

  /** What part of what is asked it can do. */
  get share(): number {
    if (this.isStalled) return 0;
    return this.asked === 0 ? 1 : Math.min(1, DEVICE_IOPS[this.spec.kind] / this.slowness / this.asked);
  }

  /**
   * Takes over what guests had done in a step.
   *
   * @param outstanding I/Os that the guests wait for
   */
  run(dt: number, outstanding: number): void {
    let left = outstanding;
    let load = 0;
    for (const operation of ['read', 'write', 'flush'] as const) {
      const own = this.of[operation];
      const seconds = own.take() * this.seconds(operation);
      own.ms.add(seconds * 1000);
      // Little's law: as many are under way as are done in the time of one. Before any time has passed there is no rate.
      const mean = dt === 0 ? 0 : seconds / dt;
      load += mean;
      own.inflight = Math.min(left, Math.round(mean));
      left -= own.inflight;
    }
    // What hangs is counted with the reads.
    if (this.isStalled) this.of.read.inflight = outstanding;
    this.busyMs.add((this.isStalled ? Number(outstanding > 0) : Math.min(1, load)) * dt * 1000);
  }

  /** The interrupts of so many I/Os from this CPU: one each, as MSI-X of NVMe without coalescing. */
  interrupt(cpu: number, ios: number): void {
    const queue = this.queueOf(cpu);
    this.interrupts.add(`${queue} ${this.interruptCpu(queue)}`, ios);
  }

  /** The first of the queue's CPUs takes its interrupts. */
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
 * As lib/group_cpus.c spreads CPUs over queues: those of a node share some queues, those of another node have others.
 *
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
