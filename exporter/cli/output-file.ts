import { lstatSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../config/load.ts';

/** A file that appears whole or not at all. */
export interface OutputFile {
  /** @throws ConfigError */
  write(text: string): void;
  /** Removes an unfinished file. */
  discard(): void;
}

/** Checks early that the file can be written. @throws ConfigError */
export function outputFile(flag: string, path: string): OutputFile {
  const target = regularFile(flag, path);
  const temporary = `${target}.${process.pid}.tmp`;
  const write = (text: string, how: 'w' | 'wx'): void => {
    try {
      writeFileSync(temporary, text, { flag: how });
    } catch (error) {
      throw cannotWrite(flag, path, error);
    }
  };
  write('', 'wx');
  const discard = (): void => rmSync(temporary, { force: true });
  return {
    write(text) {
      try {
        write(text, 'w');
        renameSync(temporary, target);
      } catch (error) {
        discard();
        throw error instanceof ConfigError ? error : cannotWrite(flag, path, error);
      }
    },
    discard,
  };
}

/** The path without symbolic links: a link is kept, and the file behind it replaced. */
function regularFile(flag: string, path: string): string {
  try {
    const target = realpathSync(path);
    const stat = lstatSync(target);
    if (stat.isFile()) return target;
    const kind = stat.isDirectory() ? 'a directory' : 'not a regular file';
    throw new ConfigError(
      `${flag}: ${path} is ${kind}: give the path of a file, or redirect standard output`,
    );
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path;
    throw cannotWrite(flag, path, error);
  }
}

function cannotWrite(flag: string, path: string, error: unknown): ConfigError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new ConfigError(`${flag}: cannot write ${path}: ${code ?? message}`);
}
