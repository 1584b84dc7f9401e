import { basename } from 'node:path';
import type { Vmm } from '../model/vm.ts';

const PROGRAMS: readonly { readonly pattern: RegExp; readonly vmm: Vmm }[] = [
  { pattern: /^(qemu-system-|qemu-kvm|kvm$)/, vmm: 'qemu' },
  { pattern: /^cloud-hyperviso/, vmm: 'cloud-hypervisor' },
  { pattern: /^firecracker/, vmm: 'firecracker' },
  { pattern: /^crosvm/, vmm: 'crosvm' },
  { pattern: /^(lkvm|kvmtool|vm$)/, vmm: 'kvmtool' },
];

/** Which VMM a process is: by its program's path, else by what it calls itself, else `other`. */
export function vmmOf(executable: string | undefined, argv0: string | undefined, comm: string): Vmm {
  for (const name of [executable, argv0, comm]) {
    if (name === undefined) continue;
    const program = basename(name);
    const known = PROGRAMS.find(({ pattern }) => pattern.test(program));
    if (known !== undefined) return known.vmm;
  }
  return 'other';
}

/** Whether a thread name is one under which a VMM starts: such a process is looked at for as long as it lives. */
export function looksLikeVmm(comm: string): boolean {
  return vmmOf(undefined, undefined, comm) !== 'other';
}

/** The name that a VMM other than QEMU was given: `--id vm`, `--name=vm`, `-n vm`. */
export function nameOption(argv: readonly string[]): string | undefined {
  for (let i = 1; i < argv.length; i++) {
    const match = /^(?:--id|--name|-n)(?:=(.*))?$/s.exec(argv[i] ?? '');
    if (match === null) continue;
    const name = match[1] ?? argv[i + 1];
    if (name !== undefined && name !== '') return name;
  }
  return undefined;
}
