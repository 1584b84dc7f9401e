import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { ROOT } from './daemon.ts';

/** Situations from public reports that once came out wrong. The README of each has the right value and its source. */
const CASES = `${ROOT}test/fixtures/cases`;

const execute = promisify(execFile);

/** Path of a file of a case. */
export function casePath(name: string, ...parts: string[]): string {
  return join(CASES, name, ...parts);
}

export function caseText(name: string, ...parts: string[]): string {
  return readFileSync(casePath(name, ...parts), 'utf8');
}

/** Unpacks a case's host tree. @returns the path for `--path.rootfs`; gone when the test ends */
export function caseTree(context: Pick<TestContext, 'after'>, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'kt-case-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync('tar', ['xzf', casePath(name, 'tree.tar.gz'), '-C', folder]);
  return join(folder, 'tree');
}

/** What `kvm-telemetry once` prints for a host tree. */
export async function once(rootfs: string, ...flags: string[]): Promise<string> {
  const { stdout } = await execute(
    process.execPath,
    [
      `${ROOT}dist/exporter/main.js`,
      'once',
      `--path.rootfs=${rootfs}`,
      '--log.level=error',
      '--state.dir=/nonexistent',
      ...flags,
    ],
    { encoding: 'utf8', env: { PATH: process.env['PATH'] }, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 },
  );
  return stdout;
}

/** Runs the case's own `check.sh` on an exposition. @throws where it is not right */
export function check(context: Pick<TestContext, 'after'>, name: string, exposition: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'kt-case-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'metrics.prom');
  writeFileSync(file, exposition);
  execFileSync(casePath(name, 'check.sh'), [file]);
}
