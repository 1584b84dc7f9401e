import { readFileSync } from 'node:fs';

/** test/mutation.json. */
export interface Settings {
  /** What a folder of the report stands for: paths of sources, from the project's root. */
  readonly folders: Readonly<Record<string, readonly string[]>>;
  /** Test files begin with one of these, from dist/test on. */
  readonly tests: readonly string[];
  /** Test files that start real processes, which know nothing of a mutant. */
  readonly excludedTests: readonly string[];
  readonly equivalents: readonly Equivalent[];
}

/** A mutant that no test can tell from the original. */
interface Equivalent {
  readonly file: string;
  /** The line, trimmed, and what stands there in place of a part of it. */
  readonly line: string;
  readonly replacement: string;
  readonly reason: string;
}

/** @param root of the project, with a slash at its end */
export function readSettings(root: string): Settings {
  return JSON.parse(readFileSync(`${root}test/mutation.json`, 'utf8')) as Settings;
}
