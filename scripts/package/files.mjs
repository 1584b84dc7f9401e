// Files and programs, for the scripts that make packages.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../prepare.mjs';

/** Paths of everything below a folder. */
export function all(folder) {
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}

/** Copies a file of the repository. */
export function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(root + from, to);
}

export function compressed(file, content) {
  mkdirSync(dirname(file), { recursive: true });
  // zlib writes no time and no name into the header.
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
}

export function git(...args) {
  if (!existsSync(`${root}.git`)) return '';
  return spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();
}

export function execute(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command}: exit ${status}`);
}

/** The same modes and times everywhere. */
export function normalize(stage, epoch) {
  for (const path of [...all(stage), stage]) {
    const isProgram =
      statSync(path).isDirectory() ||
      /\/(DEBIAN\/(postinst|prerm|postrm)|usr\/bin\/kvm-telemetry|usr\/lib\/kvm-telemetry\/node)$/.test(path);
    chmodSync(path, isProgram ? 0o755 : 0o644);
    lutimesSync(path, epoch, epoch);
  }
  chmodSync(join(stage, 'var/lib/kvm-telemetry'), 0o750);
}
