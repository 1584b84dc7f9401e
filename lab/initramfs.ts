import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Packages } from './packages.ts';

const FOLDERS = ['bin', 'dev', 'lib', 'proc', 'root', 'sys', 'tmp'];
const FOLDER = 0o040755;
const EXECUTABLE = 0o100755;

/**
 * Writes an initramfs with busybox, kernel modules and their dependencies (`/modules` lists them in load
 * order), and `/init`.
 * @param programs more programs, for `/bin`
 */
export function writeInitramfs(
  file: string,
  packages: Packages,
  init: string,
  modules: readonly string[],
  programs: readonly string[] = [],
): void {
  const paths = modulePaths(packages, modules);
  const entries = [
    ...FOLDERS.map((name) => cpioEntry(name, FOLDER)),
    cpioEntry('init', EXECUTABLE, readFileSync(init)),
    ...[join(packages.root, 'bin/busybox'), ...programs].map((path) =>
      cpioEntry(`bin/${basename(path)}`, EXECUTABLE, readFileSync(path)),
    ),
    ...paths.map((path) => cpioEntry(`lib/${moduleName(path)}.ko`, EXECUTABLE, moduleIn(path))),
    cpioEntry(
      'modules',
      EXECUTABLE,
      Buffer.from(paths.map((path) => `/lib/${moduleName(path)}.ko\n`).join('')),
    ),
    cpioEntry('TRAILER!!!', 0),
  ];
  writeFileSync(file, gzipSync(Buffer.concat(entries), { level: 1 }));
}

/** Files of the modules and of their dependencies, in load order. Built-in modules have no file. */
function modulePaths({ modules: folder }: Packages, names: readonly string[]): string[] {
  const paths = new Set<string>();
  const lines = readFileSync(join(folder, 'modules.dep'), 'utf8').split('\n');
  const byName = new Map(lines.map((line) => [moduleName(line.slice(0, line.indexOf(':'))), line]));
  for (const name of names) {
    const [own = '', needed = ''] = (byName.get(name) ?? '').split(':');
    if (own === '') continue;
    // modules.dep lists the dependencies in unload order.
    for (const path of [own, ...needed.split(' ').filter((each) => each !== '')].reverse()) {
      paths.add(join(folder, path));
    }
  }
  return [...paths];
}

function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.(xz|zst))?$/, '')
    .replaceAll('-', '_');
}

/** Debian 13 and Ubuntu compress their modules. */
function moduleIn(path: string): Buffer {
  const program = { '.xz': 'xz', '.zst': 'zstd' }[extname(path)];
  return program === undefined
    ? readFileSync(path)
    : execFileSync(program, ['-dc', path], { maxBuffer: 2 ** 26 });
}

/** A member of a cpio archive in the `newc` format, which the kernel unpacks. */
function cpioEntry(name: string, mode: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const fields = [0, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([aligned(Buffer.from(header)), aligned(content)]);
}

function aligned(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
