import { wholeDecimal } from '../kernel/decimal.ts';
import { parseCpuList } from './cpu-list.ts';
import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** `/sys/block/<disk>/queue/*`; undefined if the disk has no such attribute. */
export interface BlockQueue {
  /** The active I/O scheduler: `none`, `mq-deadline`, ... */
  readonly scheduler: string | undefined;
  /** Maximum requests of one hardware queue (or its scheduler). */
  readonly requests: number | undefined;
  readonly rotational: boolean | undefined;
  /** Whether the queue supports polling for completions. */
  readonly poll: boolean | undefined;
  /** `write back` or `write through`. */
  readonly writeCache: string | undefined;
  /** 0: off; 1: complete on the submitter's group of CPUs; 2: complete on the submitting CPU. */
  readonly completionAffinity: number | undefined;
  readonly logicalBlockSize: number | undefined;
}

/** One blk-mq hardware queue. */
export interface HardwareQueue {
  readonly queue: number;
  /** CPUs that submit to this queue. */
  readonly cpus: readonly number[];
}

/** @example parseScheduler('[none] mq-deadline kyber\n') // 'none' */
export function parseScheduler(text: string): string | undefined {
  const line = text.trim();
  return /\[([^\]]{1,32})\]/.exec(line)?.[1] ?? (line === '' || line.includes(' ') ? undefined : line);
}

/** @see https://docs.kernel.org/block/queue-sysfs.html */
export function readBlockQueue(host: Host, disk: string): BlockQueue {
  const attribute = (name: string): string | undefined => optional(host, disk, `queue/${name}`);
  const number = (name: string): number | undefined => wholeDecimal(attribute(name) ?? '');
  const flag = (name: string): boolean | undefined => {
    const value = number(name);
    return value === undefined ? undefined : value !== 0;
  };
  return {
    scheduler: parseScheduler(attribute('scheduler') ?? ''),
    requests: number('nr_requests'),
    rotational: flag('rotational'),
    poll: flag('io_poll'),
    writeCache: attribute('write_cache')?.trim(),
    completionAffinity: number('rq_affinity'),
    logicalBlockSize: number('logical_block_size'),
  };
}

/** Reads `/sys/block/<disk>/mq/<N>/cpu_list`, block/blk-mq-sysfs.c; empty for a bio-based disk. */
export function readHardwareQueues(host: Host, disk: string): HardwareQueue[] {
  const directory = `${host.roots.sysfs}/block/${disk}/mq`;
  const queues: HardwareQueue[] = [];
  for (const name of entriesOrNone(host, directory)) {
    const queue = wholeDecimal(name);
    if (queue === undefined) continue;
    const cpus = optional(host, disk, `mq/${name}/cpu_list`);
    if (cpus !== undefined) queues.push({ queue, cpus: parseCpuList(cpus) });
  }
  return queues.sort((a, b) => a.queue - b.queue);
}

function entriesOrNone(host: Host, directory: string): string[] {
  return ifThere(() => host.entries(directory)) ?? [];
}

function optional(host: Host, disk: string, name: string): string | undefined {
  return ifThere(() => host.attribute(`${host.roots.sysfs}/block/${disk}/${name}`));
}
