import { basename } from 'node:path';
import type { Vmm } from '../model/vmm.ts';

const PROGRAMS: readonly { readonly pattern: RegExp; readonly vmm: Vmm }[] = [
  { pattern: /^(?:qemu-system-[\w.-]+|qemu-kvm(?:[.-][\w.-]+)?|kvm(?:-spice)?)$/, vmm: 'qemu' },
  { pattern: /^cloud-hyperviso/, vmm: 'cloud-hypervisor' },
  { pattern: /^firecracker/, vmm: 'firecracker' },
  { pattern: /^crosvm/, vmm: 'crosvm' },
  { pattern: /^(?:lkvm(?:-static)?|kvmtool|vm)$/, vmm: 'kvmtool' },
];

/** Which VMM a program is by the name of its file; undefined for any other program. */
export function vmmOfProgram(path: string): Vmm | undefined {
  // NixOS wraps a program: `.qemu-system-x86_64-wrapped`.
  const program = basename(path).replace(/^\.(.*?)(?:-wrapped_*)?$/, '$1');
  return PROGRAMS.find(({ pattern }) => pattern.test(program))?.vmm;
}

/** Which VMM a process with a VM of KVM is: by its program, else by what it calls itself, else `other`. */
export function vmmOf(executable: string | undefined, argv0: string | undefined, comm: string): Vmm {
  for (const name of [executable, argv0, comm]) {
    const vmm = name === undefined ? undefined : vmmOfProgram(name);
    if (vmm !== undefined) return vmm;
  }
  return 'other';
}

/** Whether a thread name is one under which a VMM starts: such a process is looked at for as long as it lives. */
export function looksLikeVmm(comm: string): boolean {
  return vmmOfProgram(comm) !== undefined;
}
