import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './daemon.ts';

/** The use of two queues by two vCPUs. `own`: each vCPU uses its own. */
const QUEUES = ['own', 'first', 'in turns'] as const;

/** The work of the guest in testing/blk-guest.S, or with `queues` in testing/blk-queues.S. */
export interface BlkProgram {
  readonly iosPerKick: number;
  /** Whether the guest leaves the kick out while the host polls, as Linux does. */
  readonly honoursNoNotify: boolean;
  /** Batches in each tick of a 100 Hz timer; it halts for the rest. Without it the guest never halts. */
  readonly batchesPerTick?: number;
  readonly queues?: (typeof QUEUES)[number];
}

/** Assembles the guest. Needs as and ld. @returns a disk of 1 MiB whose boot sector it is */
export function blkBootDisk({ iosPerKick, honoursNoNotify, batchesPerTick = 0, queues }: BlkProgram): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-blk-'));
  try {
    const object = join(folder, 'blk.o');
    const binary = join(folder, 'blk.bin');
    const source = `${ROOT}testing/${queues === undefined ? 'blk-guest' : 'blk-queues'}.S`;
    const symbols = {
      BATCH: iosPerKick,
      HONOURS: honoursNoNotify ? 1 : 0,
      PACE: batchesPerTick,
      QUEUES: QUEUES.indexOf(queues ?? 'own'),
    };
    const constants = Object.entries(symbols).flatMap(([name, value]) => ['--defsym', `${name}=${value}`]);
    execFileSync('as', ['--32', ...constants, '-o', object, source]);
    const layout = ['-m', 'elf_i386', '-Ttext', '0x7c00', '--oformat', 'binary'];
    execFileSync('ld', [...layout, '-o', binary, object], { stdio: 'ignore' });
    const disk = Buffer.alloc(1024 * 1024);
    disk.set(readFileSync(binary));
    return disk;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
