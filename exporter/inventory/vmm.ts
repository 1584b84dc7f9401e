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

/** The dynamic linker of glibc or musl. Bundles of programs start it with the program as an argument. */
const DYNAMIC_LINKER = /^ld(?:-[\w.-]+)?\.so(?:\.\d+)?$/;

/** The VMM of a process with a KVM VM: by its program, then argv[0], then thread name, otherwise `other`. */
export function vmmOf(executable: string | undefined, argv: readonly string[], comm: string): Vmm {
  const isLinked = executable !== undefined && DYNAMIC_LINKER.test(basename(executable));
  for (const name of [executable, argv[0], comm, ...(isLinked ? argv : [])]) {
    const vmm = name === undefined ? undefined : vmmOfProgram(name);
    if (vmm !== undefined) return vmm;
  }
  return 'other';
}

/** Whether a VMM starts under this thread name. Such a process is checked in each pass until it exits. */
export function mayBeVmm(comm: string): boolean {
  return vmmOfProgram(comm) !== undefined;
}
