import type { VmThread } from './vm.ts';

/**
 * libvirt's number of a vCPU or of an IOThread, which libvirt names `iothread<id>`; undefined for other
 * threads.
 */
export function libvirtIdOf(role: VmThread['role'], label: string): number | undefined {
  if (role !== 'vcpu' && role !== 'iothread') return undefined;
  const id = /^(?:vcpu|iothread:iothread)(\d{1,9})$/.exec(label)?.[1];
  return id === undefined ? undefined : Number(id);
}
