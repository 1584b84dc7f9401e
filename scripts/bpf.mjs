// `npm run bpf`: compiles probes/bpf/*.bpf.c with Debian's clang. The objects are committed, so that an install needs no
// compiler. `--check` compares the committed objects with the sources.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './prepare.mjs';

// Debian 12. Another version writes other bytes for the same program.
const CLANG = 'Debian clang version 14.0.6';
const FOLDER = `${root}probes/bpf`;
// Relative names: the line information in an object must not depend on the folder of the checkout.
const FLAGS = ['-g', '-O2', '-Wall', '-Werror', '-target', 'bpfel', '-fdebug-compilation-dir=.', '-c'];

const isCheck = process.argv.includes('--check');
const missing = missingTools();
if (missing !== undefined) {
  console.log(`bpf: objects not ${isCheck ? 'compared with their sources' : 'built'}: ${missing}`);
  process.exit(isCheck && process.env.CI === undefined ? 0 : 1);
}

const folder = isCheck ? mkdtempSync(join(tmpdir(), 'kt-bpf-')) : FOLDER;
try {
  const sources = readdirSync(FOLDER).filter((name) => name.endsWith('.bpf.c'));
  for (const source of sources) {
    const object = source.replace(/c$/, 'o');
    run('clang', [...FLAGS, source, '-o', join(folder, object)], { cwd: FOLDER });
    // Removes DWARF and keeps BTF.
    run('llvm-strip', ['-g', join(folder, object)]);
    if (isCheck && !readFileSync(join(folder, object)).equals(readFileSync(join(FOLDER, object)))) {
      console.error(`probes/bpf/${object} is not what ${source} gives: run npm run bpf`);
      process.exitCode = 1;
    }
  }
} finally {
  if (isCheck) rmSync(folder, { recursive: true });
}

/** The packages to install; undefined if the tools are installed. */
function missingTools() {
  const { stdout, error } = spawnSync('clang', ['--version'], { encoding: 'utf8' });
  const version = stdout?.split('\n')[0] ?? '';
  const strip = spawnSync('llvm-strip', ['--version']).error;
  const headers = spawnSync('clang', ['-E', '-xc', '-'], { input: '#include <bpf/bpf_core_read.h>' }).status;
  if (error !== undefined || strip !== undefined || headers !== 0)
    return 'apt-get install clang llvm libbpf-dev (Debian 12)';
  return version === CLANG ? undefined : `they need ${CLANG} (Debian 12), this is ${version}`;
}
