import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);

/**
 * Writes generated files. With `--check` it writes none, reports each one that differs, and sets the exit code.
 *
 * @param files content by path in the repository
 * @param source of the files, for the report
 * @param command that writes them
 */
export function writeGenerated(files: ReadonlyMap<string, string>, source: string, command: string): void {
  for (const [path, content] of files) {
    const file = fileURLToPath(new URL(path, ROOT));
    if (!process.argv.includes('--check')) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    } else if (!existsSync(file) || readFileSync(file, 'utf8') !== content) {
      process.stderr.write(`${path} is not what ${source}: run ${command}\n`);
      process.exitCode = 1;
    }
  }
}
