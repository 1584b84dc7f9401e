import type { FakeProcess } from './host-tree.ts';

/** The descriptor of a VM. KVM names its debugfs folder after the number: `10-9`. */
export const KVM_VM = 'anon_inode:kvm-vm';

/** A QEMU process with one VM, on descriptor 9. */
export function qemuProcess(pid: number, name: string, more: Partial<FakeProcess> = {}): FakeProcess {
  return {
    pid,
    comm: 'qemu-system-x86',
    executable: '/usr/bin/qemu-system-x86_64',
    argv: ['qemu-system-x86_64', '-name', `guest=${name},debug-threads=on`, '-machine', 'q35,accel=kvm'],
    fds: { 9: KVM_VM },
    ...more,
  };
}
