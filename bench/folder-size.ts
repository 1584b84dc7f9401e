import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes of all files below a folder. */
export function sizeOf(path: string): number {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((each) => statSync(join(path, each)))
    .filter((each) => each.isFile())
    .reduce((sum, { size }) => sum + size, 0);
}
