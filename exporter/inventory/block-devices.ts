import type { DeviceNumber, Host } from '../../probes/host.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import { blockDeviceName, type Disk, diskOfPartition } from '../../probes/sys-block.ts';
import type { BlockDeviceUse } from '../model/vm.ts';

/** The stack of disks is a tree of a few levels; a loop in it would be a kernel bug. */
const MAX_DEPTH = 8;

/** File systems that live in memory hold device nodes, which are safe to stat, and no disk images. */
const MEMORY_FILE_SYSTEMS = new Set(['devtmpfs', 'tmpfs']);

/** Finds block devices by name, number, mount and file. */
export interface BlockDevices {
  readonly host: Host;
  readonly disks: ReadonlyMap<string, Disk>;
  /** Mounts of the first process, for the files behind loop devices. */
  readonly hostMounts: readonly Mount[];
}

/**
 * The block devices that carry a VM's disks: those that its process has open, and those under the file systems of the
 * images it has open, down through partitions, LVM, md, dm-crypt and loop to the hardware.
 *
 * @param mounts of the VM's process, which may live in a mount namespace of its own
 */
export function blockDevicesOf(
  devices: BlockDevices,
  pid: number,
  descriptors: readonly Descriptor[],
  mounts: readonly Mount[],
): BlockDeviceUse[] {
  const depthOf = new Map<string, number>();
  for (const descriptor of descriptors) {
    if (!descriptor.target.startsWith('/')) continue;
    const disk = diskOf(devices, pid, descriptor, mounts);
    if (disk !== undefined) descend(devices, disk, 0, depthOf);
  }
  return [...depthOf]
    .map(([device, depth]) => ({ device, depth }))
    .sort((a, b) => a.depth - b.depth || (a.device < b.device ? -1 : 1));
}

function descend(devices: BlockDevices, name: string, depth: number, depthOf: Map<string, number>): void {
  const disk = devices.disks.get(name);
  if (disk === undefined || depth > MAX_DEPTH || (depthOf.get(name) ?? Number.POSITIVE_INFINITY) <= depth)
    return;
  depthOf.set(name, depth);
  for (const slave of disk.slaves) {
    const below = wholeDisk(devices, slave);
    if (below !== undefined) descend(devices, below, depth + 1, depthOf);
  }
  if (disk.loopFile !== undefined) {
    const below = diskOfMount(devices, mountOfPath(devices.hostMounts, disk.loopFile));
    if (below !== undefined) descend(devices, below, depth + 1, depthOf);
  }
}

function diskOf(
  devices: BlockDevices,
  pid: number,
  { fd, target }: Descriptor,
  mounts: readonly Mount[],
): string | undefined {
  const info = readDescriptorInfo(devices.host, pid, fd);
  if (info === undefined || info.writeOnly) return undefined;
  const mount = mounts.find(({ id }) => id === info.mountId);
  if (!target.startsWith('/dev/')) return mount === undefined ? undefined : diskOfMount(devices, mount);
  if (mount !== undefined && MEMORY_FILE_SYSTEMS.has(mount.type)) {
    // A container may call a device node whatever it likes: the number tells.
    const number = devices.host.blockDevice(`${devices.host.roots.procfs}/${pid}/fd/${fd}`);
    if (number !== undefined) return diskOfNumber(devices, number);
  }
  return wholeDisk(devices, target.slice('/dev/'.length).replaceAll('/', '!'));
}

function diskOfMount(devices: BlockDevices, mount: Mount | undefined): string | undefined {
  if (mount === undefined) return undefined;
  if (mount.device.major !== 0) return diskOfNumber(devices, mount.device);
  // btrfs and its like show an anonymous number and the device as the source.
  if (!mount.source.startsWith('/dev/')) return undefined;
  return wholeDisk(devices, mount.source.slice('/dev/'.length).replaceAll('/', '!'));
}

function diskOfNumber(devices: BlockDevices, number: DeviceNumber): string | undefined {
  for (const disk of devices.disks.values()) {
    if (disk.device?.major === number.major && disk.device.minor === number.minor) return disk.name;
  }
  const name = blockDeviceName(devices.host, number);
  return name === undefined ? undefined : wholeDisk(devices, name);
}

function wholeDisk(devices: BlockDevices, name: string): string | undefined {
  if (devices.disks.has(name)) return name;
  const mapped = name.startsWith('mapper!') ? name.slice('mapper!'.length) : undefined;
  for (const disk of devices.disks.values()) {
    if (mapped !== undefined && disk.mapperName === mapped) return disk.name;
  }
  const disk = diskOfPartition(devices.host, name);
  return disk !== undefined && devices.disks.has(disk) ? disk : undefined;
}

function mountOfPath(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const prefix = mount.mountPoint === '/' ? '/' : `${mount.mountPoint}/`;
    // Of two mounts on one point the later one covers the earlier.
    if (path.startsWith(prefix) && mount.mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
  }
  return best;
}
