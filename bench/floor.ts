import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../bench/read-files.c', import.meta.url));

export interface Reading {
  readonly cpu: number;
  readonly wall: number;
}

/** The minimum cost of reading the files: a C program that opens, reads and closes each file once. */
export function createFloor(files: readonly string[], scratch: string): () => Reading {
  const program = `${scratch}/read-files`;
  const list = `${scratch}/files.txt`;
  writeFileSync(list, files.map((file) => `${file}\n`).join(''), 'latin1');
  run('gcc', ['-O2', '-Wall', '-Werror', '-o', program, SOURCE]);
  return () => {
    const [cpu, wall, read] = run(program, [list]).split(' ').map(Number);
    if (cpu === undefined || wall === undefined || read !== files.length)
      throw new Error('read-files failed');
    return { cpu, wall };
  };
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'latin1' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
  return stdout;
}
