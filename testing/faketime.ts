import { existsSync } from 'node:fs';

/** Debian's paths: {@link https://github.com/wolfcw/libfaketime} */
const FOLDERS = ['/usr/lib/x86_64-linux-gnu/faketime', '/usr/lib/aarch64-linux-gnu/faketime'];

/** The library that fakes a process's wall clock; undefined if it is not installed. */
export function faketimeLibrary(): string | undefined {
  return FOLDERS.map((folder) => `${folder}/libfaketime.so.1`).find((path) => existsSync(path));
}
