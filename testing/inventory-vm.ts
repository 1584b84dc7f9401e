import type { Vm } from '../exporter/model/vm.ts';

/** A VM as the inventory would show it; `pid` identifies it. */
export function inventoryVm(pid: number, more: Partial<Vm> = {}): Vm {
  return {
    key: `${pid}:1000`,
    label: `vm${pid}`,
    name: `vm${pid}`,
    uuid: '',
    vmm: 'qemu',
    manager: '',
    accel: 'kvm',
    machine: 'q35',
    pid,
    startTime: 1000,
    directories: [],
    blockDevices: [],
    unknownDevices: [],
    vcpuThreads: new Map(),
    kvmVcpus: new Map(),
    iothreadIds: [],
    diskIds: [],
    iothreadThreads: new Map(),
    monitors: [],
    domain: '',
    pins: undefined,
    libvirtDisks: undefined,
    confidential: undefined,
    ioPath: { signs: new Set(), nvmeAddresses: [], vdpaWithoutDisk: [], hasVfioDevice: false },
    passthrough: { vfio: [], vdpa: [], hasNvmeCharacterDevice: false, hasVhostScsi: false },
    devices: undefined,
    ...more,
  };
}
