/** The program that runs a VM; `other` for one that is not known. */
export type Vmm = 'qemu' | 'cloud-hypervisor' | 'firecracker' | 'crosvm' | 'kvmtool' | 'other';
