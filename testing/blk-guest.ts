import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from './daemon.ts';
import { guestWithMonitor } from './guest-with-monitor.ts';
import { type Guest, threadId } from './qemu.ts';

export interface BlkGuest extends Guest {
  readonly monitor: string;
  /** Pins its vCPU and its IOThread to a CPU each. */
  pin(vcpu: number, iothread: number): void;
  unpin(): void;
}

export interface BlkOptions {
  readonly name: string;
  readonly iosPerKick: number;
  readonly pollMaxNs: number;
  /** Whether the guest leaves the kick out while the host polls, as Linux does. */
  readonly honoursNoNotify: boolean;
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
    { name, vcpus: 1, iothread: `poll-max-ns=${pollMaxNs}`, disk: DISK, boot: programOf(options) },
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

function programOf({ iosPerKick, honoursNoNotify }: BlkOptions): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-blk-'));
  try {
    const object = join(folder, 'blk.o');
    const binary = join(folder, 'blk.bin');
    const source = `${ROOT}testing/blk-guest.S`;
    const constants = ['--defsym', `BATCH=${iosPerKick}`, '--defsym', `HONOURS=${honoursNoNotify ? 1 : 0}`];
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
