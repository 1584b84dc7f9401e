import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from './daemon.ts';
import { temporaryFolder } from './folder.ts';

export { onceInProcess as once } from './in-process.ts';

/**
 * Situations from public reports that gave wrong results. The README of each has the correct value and its
 * source.
 */
const CASES = `${ROOT}test/fixtures/cases`;

/** Path of a file of a case. */
function casePath(name: string, ...parts: string[]): string {
  return join(CASES, name, ...parts);
}

export function caseText(name: string, ...parts: string[]): string {
  return readFileSync(casePath(name, ...parts), 'utf8');
}

/** Unpacks a case's host tree. @returns the path for `--path.rootfs`; removed when the test ends */
export function caseTree(context: Pick<TestContext, 'after'>, name: string): string {
  const folder = temporaryFolder(context);
  execFileSync('tar', ['xzf', casePath(name, 'tree.tar.gz'), '-C', folder]);
  return join(folder, 'tree');
}

/** Runs the case's own `check.sh` on an exposition. @throws if the check fails */
export function check(context: Pick<TestContext, 'after'>, name: string, exposition: string): void {
  const folder = temporaryFolder(context);
  const file = join(folder, 'metrics.prom');
  writeFileSync(file, exposition);
  execFileSync(casePath(name, 'check.sh'), [file]);
}
