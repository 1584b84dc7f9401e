import type { DeviceNumber, Host } from '../../probes/host.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { blockDeviceName, type Disk, diskOfPartition } from '../../probes/sys-block.ts';

/** Finds block devices by name, number, mount and file. */
export interface BlockDevices {
  readonly host: Host;
  readonly disks: ReadonlyMap<string, Disk>;
  /** Mounts of process 1, for the files of loop devices and the layers of overlays. */
  readonly hostMounts: readonly Mount[];
  /** Kernel names of the devices of each file system that has several. */
  readonly fileSystems: readonly (readonly string[])[];
}

/** The disk with this device number, or with a partition that has it. */
export function diskOfNumber(devices: BlockDevices, number: DeviceNumber): string | undefined {
  for (const disk of devices.disks.values()) {
    if (disk.device?.major === number.major && disk.device.minor === number.minor) return disk.name;
  }
  const name = blockDeviceName(devices.host, number);
  return name === undefined ? undefined : wholeDisk(devices, name);
}

/** The disk of a kernel name, with `!` for `/`: the name of a disk, a partition, or `mapper!NAME`. */
export function wholeDisk(devices: BlockDevices, name: string): string | undefined {
  if (devices.disks.has(name)) return name;
  const mapped = name.startsWith('mapper!') ? name.slice('mapper!'.length) : undefined;
  for (const disk of devices.disks.values()) {
    if (mapped !== undefined && disk.mapperName === mapped) return disk.name;
  }
  const disk = diskOfPartition(devices.host, name);
  return disk !== undefined && devices.disks.has(disk) ? disk : undefined;
}

/** The disk of a path in /dev. */
export function diskOfPath(devices: BlockDevices, path: string): string | undefined {
  return path.startsWith('/dev/')
    ? wholeDisk(devices, path.slice('/dev/'.length).replaceAll('/', '!'))
    : undefined;
}
