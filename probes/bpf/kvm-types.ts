import { ifThere } from '../errors.ts';
import type { Host } from '../host.ts';

/** Names of KVM's modules whose types the kernel describes now. None if KVM is built in or not loaded. */
export function readKvmTypes(host: Host): string[] {
  const names = ifThere(() => host.entries(`${host.roots.sysfs}/kernel/btf`)) ?? [];
  return names.filter((name) => name.startsWith('kvm')).sort();
}
