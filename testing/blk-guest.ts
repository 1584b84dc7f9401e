import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { type BlkProgram, blkBootDisk } from './blk-program.ts';
import { guestWithMonitor, qmpCommand } from './guest-with-monitor.ts';
import { type Guest, threadId } from './qemu.ts';

export interface BlkGuest extends Guest {
  readonly monitor: string;
  /** Pins its first vCPU and its IOThread to a CPU each. */
  pin(vcpu: number, iothread: number): void;
  unpin(): void;
  /** Lets its vCPU run on any CPU. */
  unpinVcpu(): void;
  /** The guest's own count of kicks, without `queues`. A stopped guest may already have counted the next kick. */
  kicks(): Promise<number>;
  /**
   * For a guest with `queues`: switches from its own pattern to the first queue and back, or from the first queue to
   * one for each vCPU.
   */
  changeQueues(): Promise<unknown>;
}

export interface BlkOptions extends BlkProgram {
  readonly name: string;
  readonly pollMaxNs: number;
  /** Folder of its monitor. */
  readonly sockets: string;
  /** Content of its boot disk instead of the program. */
  readonly boot?: Buffer;
  /** More arguments of QEMU. */
  readonly extra?: readonly string[];
}

/** Completes each I/O in the IOThread, so that the host's other load does not delay it. */
const DISK = 'driver=null-co,size=1048576,read-zeroes=on';

const ALL = '0-4095';

/** Address of the counter in testing/blk-guest.S. */
const KICKS = '0x15000';

/**
 * A real VM under KVM whose guest reads a virtio-blk disk for ever: so many reads a kick, then it waits for all
 * of them. Needs as and ld.
 */
export function blkGuest(context: Pick<TestContext, 'after'>, options: BlkOptions): BlkGuest {
  const { name, pollMaxNs, sockets, boot = blkBootDisk(options), extra = [], queues } = options;
  const [vcpus, several] = queues === undefined ? [1, {}] : [2, { queues: 2 }];
  const guest = guestWithMonitor(
    context,
    { name, vcpus, iothread: `poll-max-ns=${pollMaxNs}`, disk: DISK, boot, extra, ...several },
    sockets,
  );
  const taskset = (comm: string, cpus: string): void =>
    void execFileSync('taskset', ['-pc', cpus, threadId(guest.pid, comm)], { stdio: 'ignore' });
  return {
    ...guest,
    pin: (vcpu, io) => {
      taskset('CPU 0/KVM', String(vcpu));
      taskset('IO io0', String(io));
    },
    unpin: () => {
      taskset('CPU 0/KVM', ALL);
      taskset('IO io0', ALL);
    },
    unpinVcpu: () => taskset('CPU 0/KVM', ALL),
    kicks: async () => {
      const dump = { 'command-line': `xp /1wu ${KICKS}` };
      const line = await qmpCommand(guest.monitor, { execute: 'human-monitor-command', arguments: dump });
      return Number(String(line).trim().split(': ')[1]);
    },
    changeQueues: () => qmpCommand(guest.monitor, { execute: 'inject-nmi' }),
  };
}
