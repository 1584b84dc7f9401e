import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from './folder.ts';
import { qmpCommand } from './guest-with-monitor.ts';
import { type Guest, runGuest, threadId } from './qemu.ts';

/** Ports that neither the firmware nor a device of the guest uses. */
export const PORTS = [0xe9, 0x80] as const;
export const SERIAL_PORT = 0x3f8;

/**
 * Writes to each port the given number of times, then prints its own count on the serial port, in
 * hexadecimal.
 */
function program(writes: readonly [number, number]): Buffer {
  const code = Buffer.from(
    [
      'fa', // cli: no BIOS handler does I/O of its own
      ...PORTS.map((port, i) =>
        [
          '6631f6', // xor esi, esi: the guest's own count
          `66b9${hex(writes[i] ?? 0, 4)}`, // mov ecx, writes
          `ba${hex(port, 2)}`, // mov dx, port
          'ee', // again: out dx, al
          '6646', // inc esi
          '6649', // dec ecx
          '75f9', // jnz again
          i === 0 ? 'e81900' : 'e80300', // call print
        ].join(''),
      ),
      'f4ebfd', // hlt for ever
      'b90800', // print: mov cx, 8
      '66c1c604', // digit: rol esi, 4
      '89f0240f', // mov ax, si; and al, 15
      '04303c3a72020407', // add al, '0'; past '9': add al, 7
      'e80400', // call send
      'e2eb', // loop digit
      'b00a', // mov al, '\n'
      '88c4', // send: mov ah, al
      'bafd03eca82074fb', // mov dx, 0x3fd; until the transmitter is empty: in al, dx; test al, 0x20; jz
      '88e0baf803ee', // mov al, ah; mov dx, 0x3f8; out dx, al
      'c3', // ret
    ].join(''),
    'hex',
  );
  const disk = Buffer.alloc(1024 * 1024);
  disk.set(code);
  disk.set([0x55, 0xaa], 510);
  return disk;
}

function hex(value: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer.toString('hex');
}

export interface CountingGuest extends Guest {
  /** Thread ids of its vCPUs, by index. */
  readonly vcpus: readonly number[];
  /** Starts the guest's program. The guest waits for this call. */
  begin(): Promise<void>;
  /** Output of the guest on its serial port so far. */
  serialOutput(): string;
  /** The guest's own count for each port, once it has printed it. */
  counted(): Promise<number[]>;
}

/** A real VM under KVM that counts its own port I/O. It does not run before `begin`. */
export function countingGuest(
  context: TestContext,
  name: string,
  writes: readonly [number, number],
): CountingGuest {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, 'count.img'), program(writes));
  const guest = runGuest(context, {
    name,
    accel: 'kvm',
    extra: [
      ['-S', '-qmp', `unix:${folder}/qmp,server=on,wait=off`, '-serial', `file:${folder}/serial`],
      ['-drive', `file=${folder}/count.img,format=raw,if=none,id=count`],
      ['-device', 'ide-hd,drive=count,bootindex=0'],
    ].flat(),
  });
  const serialOutput = (): string => readFileSync(join(folder, 'serial'), 'latin1');
  return {
    ...guest,
    vcpus: [0, 1].map((index) => Number(threadId(guest.pid, `CPU ${index}/KVM`))),
    async begin() {
      await qmpCommand(join(folder, 'qmp'), { execute: 'cont' });
    },
    serialOutput,
    async counted() {
      for (let i = 0; i < 600 && !/^(\w{8}\n){2}$/.test(serialOutput()); i++) await sleep(100);
      return serialOutput()
        .trim()
        .split('\n')
        .map((line) => Number.parseInt(line, 16));
    },
  };
}
