import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { blkBootDisk } from './blk-program.ts';
import { temporaryFolder } from './folder.ts';
import { qmpCommand } from './guest-with-monitor.ts';
import { until } from './patience.ts';
import { canRunGuests, type Guest, runGuest } from './qemu.ts';
import { hasTool } from './tools.ts';

export interface KickingGuest extends Guest {
  /** Its QMP socket. */
  readonly monitor: string;
  /** Stops the guest when all of its reads have ended. @returns the disk's reads, as QEMU counts them */
  stopAndCount(): Promise<number>;
  /** The reads so far. */
  reads(): Promise<number>;
  /** Lets the guest go on. */
  go(): Promise<void>;
}

/** Whether the guest can be assembled and started here. */
export function canRunKickingGuests(context: TestContext): boolean {
  return canRunGuests(context) && hasTool(context, 'as', 'binutils') && hasTool(context, 'ld', 'binutils');
}

/**
 * A real VM whose only work is to read its virtio-blk disk: a known number of reads for each kick. Resolves when the firmware
 * has started it.
 */
export async function kickingGuest(
  context: TestContext,
  name: string,
  readsPerKick: number,
): Promise<KickingGuest> {
  const folder = temporaryFolder(context);
  const disk = blkBootDisk({ iosPerKick: readsPerKick, honoursNoNotify: false });
  writeFileSync(join(folder, 'boot.img'), disk);
  const monitor = `${folder}/qmp`;
  const guest = runGuest(context, {
    name,
    vcpus: 1,
    extra: [
      ['-qmp', `unix:${monitor},server=on,wait=off`],
      ['-drive', `file=${folder}/boot.img,format=raw,if=none,id=boot`],
      ['-device', 'ide-hd,drive=boot,bootindex=0'],
    ].flat(),
  });
  const reads = async (): Promise<number> => {
    const disks = (await qmpCommand(monitor, { execute: 'query-blockstats' })) as {
      qdev?: string;
      stats: { rd_operations: number };
    }[];
    return disks.find(({ qdev }) => qdev?.includes('vda'))?.stats.rd_operations ?? 0;
  };
  await until(async () => (await reads()) > 1000, `the guest ${name} reads`);
  return {
    ...guest,
    monitor,
    reads,
    async stopAndCount() {
      await qmpCommand(monitor, { execute: 'stop' });
      // QEMU counts a read in flight when it ends.
      let [before, now] = [-1, await reads()];
      while (now !== before) {
        await sleep(50);
        [before, now] = [now, await reads()];
      }
      return now;
    },
    async go() {
      await qmpCommand(monitor, { execute: 'cont' });
    },
  };
}
