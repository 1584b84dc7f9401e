import type { Host } from '../host.ts';

/**
 * Names of KVM's modules whose types the kernel describes now: if they change, CO-RE finds other fields. Empty if KVM is built in
 * or not loaded, and if they cannot be read.
 */
export function readKvmTypes(host: Host): string {
  try {
    const names = host.entries(`${host.roots.sysfs}/kernel/btf`);
    return names
      .filter((name) => name.startsWith('kvm'))
      .sort()
      .join();
  } catch {
    return '';
  }
}
