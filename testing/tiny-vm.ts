import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from './daemon.ts';
import { temporaryFolder } from './folder.ts';
import { hasKvm } from './qemu.ts';
import { has, hasTool } from './tools.ts';

/** Whether real VMs can be built and started here. */
export function canRunTinyVms(context: TestContext): boolean {
  return (
    hasTool(context, 'gcc', 'gcc') && has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')
  );
}

/**
 * Builds a VMM of a hundred lines, for cases that need a VM within a millisecond; QEMU is too slow for them.
 * @param name of the program, which is the VM's name as well
 * @returns the program's path; removed when the test ends
 */
export function buildTinyVm(context: Pick<TestContext, 'after'>, name = 'tiny-vm'): string {
  const folder = temporaryFolder(context);
  const program = join(folder, name);
  execFileSync('gcc', ['-O1', '-pthread', '-o', program, `${ROOT}testing/tiny-vm.c`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return program;
}

/**
 * Starts a VM with one vCPU that exits by itself. Resolves when the VM is up.
 *
 * @param owner its user and group; root by default
 */
export async function startTinyVm(
  context: Pick<TestContext, 'after'>,
  program: string,
  lifetimeMs: number,
  owner: { uid?: number; gid?: number } = {},
): Promise<ChildProcess> {
  const child = spawn(program, [String(lifetimeMs)], { stdio: ['ignore', 'pipe', 'inherit'], ...owner });
  context.after(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the VM ended with ${code}`)));
  });
  return child;
}
