import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from './folder.ts';

const ROM_BYTES = 65_536;
/** The first instruction of a CPU is 16 bytes below the end of its firmware. */
const RESET = ROM_BYTES - 16;
/** Writes to 128 pages, then to a port, for ever. */
const PROGRAM = [
  'fa', // cli
  'ba8000', // mov dx, 0x80
  'bb0010', // round: mov bx, 0x1000: the first segment
  '40', // page: inc ax
  '8ec3', // mov es, bx
  '26a30000', // mov es:[0], ax
  '81c30001', // add bx, 0x100: the next page
  '81fb0090', // cmp bx, 0x9000
  '72ef', // jb page
  'ee', // out dx, al
  'ebe7', // jmp round
].join('');
const JUMP_TO_PROGRAM = 'ea000000f0'; // jmp 0xf000:0

/** Arguments for a guest that writes to its memory for ever. It is its own firmware, so that it runs at once. */
export function writingFirmware(context: TestContext): string[] {
  const rom = Buffer.alloc(ROM_BYTES);
  rom.set(Buffer.from(PROGRAM, 'hex'));
  rom.set(Buffer.from(JUMP_TO_PROGRAM, 'hex'), RESET);
  const path = join(temporaryFolder(context), 'firmware');
  writeFileSync(path, rom);
  return ['-bios', path];
}
