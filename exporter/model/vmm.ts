/** The program that runs a VM; `other` if unknown. */
export type Vmm = 'qemu' | 'cloud-hypervisor' | 'firecracker' | 'crosvm' | 'kvmtool' | 'other';
