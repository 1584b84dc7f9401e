import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';
import { type BlkProgram, blkBootDisk } from './blk-program.ts';
import { guestWithMonitor } from './guest-with-monitor.ts';
import { type Guest, threadId } from './qemu.ts';

export interface BlkGuest extends Guest {
  readonly monitor: string;
  /** Pins its vCPU and its IOThread to a CPU each. */
  pin(vcpu: number, iothread: number): void;
  unpin(): void;
}

export interface BlkOptions extends BlkProgram {
  readonly name: string;
  readonly pollMaxNs: number;
  /** Folder of its monitor. */
  readonly sockets: string;
}

/** Completes each I/O in the IOThread, so that the host's other load does not delay it. */
const DISK = 'driver=null-co,size=1048576,read-zeroes=on';

/**
 * A real VM under KVM whose guest reads a virtio-blk disk for ever: so many reads a kick, then it waits for all
 * of them. Needs as and ld.
 */
export function blkGuest(context: TestContext, options: BlkOptions): BlkGuest {
  const { name, pollMaxNs, sockets } = options;
  const guest = guestWithMonitor(
    context,
    { name, vcpus: 1, iothread: `poll-max-ns=${pollMaxNs}`, disk: DISK, boot: blkBootDisk(options) },
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
      taskset('CPU 0/KVM', '0-4095');
      taskset('IO io0', '0-4095');
    },
  };
}
