import { execFileSync } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { has, hasTool } from './tools.ts';

/** A boot sector that writes to port 0x80 in an endless loop. Each OUT is an exit. */
const PORT_IO_LOOP = [0xba, 0x80, 0x00, 0xee, 0xeb, 0xfd]; // mov dx, 0x80; again: out dx, al; jmp again

export interface Guest {
  readonly pid: number;
  /** A new folder, removed by stop(). */
  readonly folder: string;
  /** Kills QEMU and waits until its process has exited. */
  stop(): void;
}

export interface GuestOptions {
  readonly name: string;
  readonly vcpus?: number;
  readonly accel?: 'kvm' | 'tcg';
  readonly debugThreads?: boolean;
  /** Content of its boot disk; the loop of port I/O by default. */
  readonly boot?: Buffer;
  /** Properties of its IOThread, such as `poll-max-ns=0`. */
  readonly iothread?: string;
  /** Driver of its virtio disk instead of a file: `driver=null-co,size=1048576`. */
  readonly disk?: string;
  /** Queues of its virtio disk. */
  readonly queues?: number;
  /** Program to run instead of QEMU's own path. */
  readonly program?: string;
  /** More arguments; `@` in them is replaced by the guest's folder. */
  readonly extra?: readonly string[];
}

export function hasKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a test can start guests with KVM. */
export function canRunGuests(context: TestContext): boolean {
  return (
    hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86') &&
    has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')
  );
}

/** A guest that stops when the test ends. */
export function runGuest(context: TestContext, options: GuestOptions): Guest {
  const guest = startGuest(options);
  context.after(() => guest.stop());
  return guest;
}

/** A disk that boots into the loop. */
export function portIoDisk(): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  disk.set(PORT_IO_LOOP);
  disk.set([0x55, 0xaa], 510);
  return disk;
}

/** Starts a real QEMU with a guest that does port I/O in a loop, a virtio-blk disk and an IOThread. */
export function startGuest(options: GuestOptions): Guest {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-guest-'));
  writeFileSync(join(folder, 'boot.img'), options.boot ?? portIoDisk());
  writeFileSync(join(folder, 'disk.img'), Buffer.alloc(1024 * 1024));
  const pidFile = join(folder, 'pid');
  const { name, vcpus = 2, accel = 'kvm', debugThreads = true, extra = [] } = options;
  const { disk = `driver=file,filename=${folder}/disk.img`, queues } = options;
  const several = queues === undefined ? '' : `,num-queues=${queues}`;
  execFileSync(
    options.program ?? 'qemu-system-x86_64',
    [
      ['-name', `guest=${name.replaceAll(',', ',,')}${debugThreads ? ',debug-threads=on' : ''}`],
      ['-machine', `pc,accel=${accel}`, '-m', '16', '-smp', String(vcpus)],
      ['-nodefaults', '-display', 'none', '-daemonize', '-pidfile', pidFile],
      ['-object', `iothread,id=io0${options.iothread === undefined ? '' : `,${options.iothread}`}`],
      ['-drive', `file=${folder}/boot.img,format=raw,if=ide`],
      ['-blockdev', `${disk},node-name=d0`],
      ['-device', `virtio-blk-pci,drive=d0,iothread=io0,id=vda${several}`],
      extra.map((argument) => argument.replaceAll('@', folder)),
    ].flat(),
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 },
  );
  const pid = Number(readFileSync(pidFile, 'utf8'));
  return {
    pid,
    folder,
    stop() {
      kill(pid);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** @param comm `CPU 0/KVM` */
export function threadId(pid: number, comm: string): string {
  const found = readdirSync(`/proc/${pid}/task`).find(
    (tid) => readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim() === comm,
  );
  if (found === undefined) throw new Error(`no thread ${comm} of ${pid}`);
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 500 && isRunning(pid); i++) Atomics.wait(clock, 0, 0, 10);
}

/** A zombie that its parent has not reaped counts as exited. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
