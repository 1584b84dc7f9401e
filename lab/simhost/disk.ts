import { DEVICE_IOPS, DEVICE_SECONDS, IO_BYTES } from './calibration.ts';
import { Meter, Meters } from './random.ts';

export interface DiskSpec {
  readonly name: string;
  readonly kind: 'nvme' | 'sata';
  readonly node: number;
  readonly hardwareQueues: number;
}

const SECTOR = 512;

/** A disk of the host: what /sys/block/<disk>/stat counts, and the interrupts of its hardware queues. */
export class SimDisk {
  readonly reads = new Meter();
  /** Milliseconds, as the kernel has them. */
  readonly readMs = new Meter();
  readonly busyMs = new Meter();
  /** By `queue cpu`. */
  readonly interrupts = new Meters();
  inflight = 0;
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

  get sectors(): number {
    return (this.reads.value * IO_BYTES) / SECTOR;
  }

  /** What one I/O takes in it. */
  get seconds(): number {
    return DEVICE_SECONDS[this.spec.kind] * this.slowness;
  }

  /** What part of what is asked it can do. */
  get share(): number {
    if (this.isStalled) return 0;
    return this.asked === 0 ? 1 : Math.min(1, DEVICE_IOPS[this.spec.kind] / this.slowness / this.asked);
  }

  /** @param outstanding I/Os that the guests wait for */
  run(dt: number, ios: number, outstanding: number): void {
    const { seconds } = this;
    this.readMs.add(ios * seconds * 1000);
    // Before any time has passed there is no rate.
    const rate = dt === 0 ? 0 : ios / dt;
    this.inflight = this.isStalled ? outstanding : Math.min(outstanding, Math.round(rate * seconds));
    const busy = this.inflight > 0 ? Math.min(1, this.isStalled ? 1 : rate * seconds) : 0;
    this.busyMs.add(busy * dt * 1000);
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
