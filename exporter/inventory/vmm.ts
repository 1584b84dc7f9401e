import { basename } from 'node:path';
import type { Vmm } from '../model/vmm.ts';

const PROGRAMS: readonly { readonly pattern: RegExp; readonly vmm: Vmm }[] = [
  { pattern: /^(?:qemu-system-[\w.-]+|qemu-kvm(?:[.-][\w.-]+)?|kvm(?:-spice)?)$/, vmm: 'qemu' },
  { pattern: /^cloud-hyperviso/, vmm: 'cloud-hypervisor' },
  { pattern: /^firecracker/, vmm: 'firecracker' },
  { pattern: /^crosvm/, vmm: 'crosvm' },
  { pattern: /^(?:lkvm(?:-static)?|kvmtool|vm)$/, vmm: 'kvmtool' },
];

/** The VMM according to the file name of a program; undefined for any other program. */
export function vmmOfProgram(path: string): Vmm | undefined {
  // NixOS wraps programs: `.qemu-system-x86_64-wrapped`.
  const program = basename(path).replace(/^\.(.*?)(?:-wrapped_*)?$/, '$1');
  return PROGRAMS.find(({ pattern }) => pattern.test(program))?.vmm;
}

/** The VMM of a process with a KVM VM: by its program, then argv[0], then thread name, otherwise `other`. */
export function vmmOf(executable: string | undefined, argv0: string | undefined, comm: string): Vmm {
  for (const name of [executable, argv0, comm]) {
    const vmm = name === undefined ? undefined : vmmOfProgram(name);
    if (vmm !== undefined) return vmm;
  }
  return 'other';
}

/** Whether a VMM starts under this thread name. Such a process is checked in each pass until it exits. */
export function mayBeVmm(comm: string): boolean {
  return vmmOfProgram(comm) !== undefined;
}
