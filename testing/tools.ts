import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';

/** Path of a program; undefined if it is not installed. */
export function which(program: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Whether a test can run. If a dependency is missing, the test is skipped with a hint; in CI it fails,
 * because a check that did not run must not count as passed.
 */
export function has(context: TestContext, present: boolean, otherwise: string): boolean {
  if (present) return true;
  if (process.env['CI'] !== undefined) throw new Error(`missing in CI: ${otherwise}`);
  context.skip(otherwise);
  return false;
}

/** {@link has} for a program of a Debian package. */
export function hasTool(context: TestContext, program: string, debianPackage: string): boolean {
  return has(
    context,
    which(program) !== undefined,
    `${program} is missing: apt-get install ${debianPackage}`,
  );
}
