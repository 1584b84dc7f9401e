import { basename } from 'node:path';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import type { OtherFiles } from '../../probes/qemu-files.ts';
import type { BlockDeviceUse } from '../model/vm.ts';
import { type Carriers, carriersOfMount, mountOfPath, NONE, only } from './file-systems.ts';
import { type BlockDevices, diskOfNumber, wholeDisk } from './whole-disks.ts';

/** In-memory file systems: they contain device nodes, which are safe to stat, and no disk images. */
const MEMORY_FILE_SYSTEMS = new Set(['devtmpfs', 'tmpfs']);

/** The open files of a VM's process. */
export interface OpenFiles {
  readonly pid: number;
  readonly descriptors: readonly Descriptor[];
  /** Mounts of that process, which may have its own mount namespace. */
  readonly mounts: readonly Mount[];
  readonly otherFiles: OtherFiles;
}

export interface FoundDevices {
  readonly devices: readonly BlockDeviceUse[];
  /** Images without a known block device, and the reason. */
  readonly without: readonly string[];
}

/**
 * Finds the block devices of a VM's disks: those that its process has open, and those below the file systems
 * of its open images, down through partitions, LVM, md, dm-crypt and loop to the hardware.
 */
export function blockDevicesOf(devices: BlockDevices, open: OpenFiles): FoundDevices {
  const depthOf = new Map<string, number>();
  const without = new Set<string>();
  for (const descriptor of open.descriptors) {
    if (!descriptor.target.startsWith('/')) continue;
    const carriers = carriersOf(devices, open, descriptor);
    for (const disk of carriers.disks) descend(devices, disk, 0, depthOf);
    if (carriers.why !== undefined) without.add(carriers.why);
  }
  const found = [...depthOf].map(([device, depth]) => ({ device, depth }));
  return {
    devices: found.sort((a, b) => a.depth - b.depth || (a.device < b.device ? -1 : 1)),
    without: [...without].sort(),
  };
}

function descend(devices: BlockDevices, name: string, depth: number, depthOf: Map<string, number>): void {
  const disk = devices.disks.get(name);
  // Skipping a disk that is known at this depth also ends a loop in the stack.
  if (disk === undefined || (depthOf.get(name) ?? Number.POSITIVE_INFINITY) <= depth) return;
  depthOf.set(name, depth);
  for (const slave of disk.slaves) {
    const below = wholeDisk(devices, slave);
    if (below !== undefined) descend(devices, below, depth + 1, depthOf);
  }
  if (disk.loopFile === undefined) return;
  const mount = mountOfPath(devices.hostMounts, disk.loopFile);
  if (mount === undefined) return;
  for (const below of carriersOfMount(devices, mount, false).disks)
    descend(devices, below, depth + 1, depthOf);
}

function carriersOf(devices: BlockDevices, open: OpenFiles, { fd, target }: Descriptor): Carriers {
  const info = readDescriptorInfo(devices.host, open.pid, fd);
  if (info === undefined || info.writeOnly || info.pathOnly) return NONE;
  const mount = open.mounts.find(({ id }) => id === info.mountId);
  if (target.startsWith('/dev/')) return only(deviceAt(devices, open.pid, fd, target, mount));
  if (mount === undefined || isNoDisk(target, info.readOnly, open.otherFiles)) return NONE;
  return carriersOfMount(devices, mount, info.readOnly);
}

function deviceAt(
  devices: BlockDevices,
  pid: number,
  fd: number,
  target: string,
  mount: Mount | undefined,
): string | undefined {
  if (mount !== undefined && MEMORY_FILE_SYSTEMS.has(mount.type)) {
    // A container may give a device node any name, so use the device number.
    const number = devices.host.blockDevice(`${devices.host.roots.procfs}/${pid}/fd/${fd}`);
    if (number !== undefined) return diskOfNumber(devices, number);
  }
  return wholeDisk(devices, target.slice('/dev/'.length).replaceAll('/', '!'));
}

/** Shared firmware is often a link, so it is recognized by its name and by being read-only. */
function isNoDisk(target: string, readOnly: boolean, { files, folders }: OtherFiles): boolean {
  const path = target.replace(/ \(deleted\)$/, '');
  if (files.has(path) || folders.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    return true;
  if (!readOnly) return false;
  return (
    /^\/(?:usr\/share|nix\/store)\//.test(path) ||
    [...files].some((file) => basename(file) === basename(path))
  );
}
