import { readFileSync } from 'node:fs';

/** Content of test/mutation.json. */
export interface Settings {
  /** Source paths of each folder of the report, relative to the project's root. */
  readonly folders: Readonly<Record<string, readonly string[]>>;
  /** Prefixes of sources without mutants: code of a browser cannot run in the worker. */
  readonly excludedSources: readonly string[];
  /** Prefixes of the test files, relative to dist/test. */
  readonly tests: readonly string[];
  /** Test files that start real processes; these run without mutants. */
  readonly excludedTests: readonly string[];
  readonly equivalents: readonly Equivalent[];
}

/** A mutant that behaves like the original. */
export interface Equivalent {
  readonly file: string;
  /** The line, trimmed, and the replacement of a part of it. */
  readonly line: string;
  readonly replacement: string;
  readonly reason: string;
}

/** @param root of the project, with a trailing slash */
export function readSettings(root: string): Settings {
  return JSON.parse(readFileSync(`${root}test/mutation.json`, 'utf8')) as Settings;
}
