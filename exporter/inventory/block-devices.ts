import { basename } from 'node:path';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import type { OtherFiles } from '../../probes/qemu-files.ts';
import type { BlockDeviceUse } from '../model/vm.ts';
import { type Carriers, carriersOfMount, mountOfPath, NONE, only } from './file-systems.ts';
import { type BlockDevices, diskOfNumber, wholeDisk } from './whole-disks.ts';

/** File systems that live in memory hold device nodes, which are safe to stat, and no disk images. */
const MEMORY_FILE_SYSTEMS = new Set(['devtmpfs', 'tmpfs']);

/** What a VM's process has open. */
export interface OpenFiles {
  readonly pid: number;
  readonly descriptors: readonly Descriptor[];
  /** Of that process, which may live in a mount namespace of its own. */
  readonly mounts: readonly Mount[];
  readonly otherFiles: OtherFiles;
}

export interface FoundDevices {
  readonly devices: readonly BlockDeviceUse[];
  /** Images of which no block device is known, and why. */
  readonly without: readonly string[];
}

/**
 * The block devices that carry a VM's disks: those that its process has open, and those under the file systems of the
 * images it has open, down through partitions, LVM, md, dm-crypt and loop to the hardware.
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
  // One that is known at this depth is passed over, so a loop in the stack ends by itself.
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
    // A container may call a device node whatever it likes: the number tells.
    const number = devices.host.blockDevice(`${devices.host.roots.procfs}/${pid}/fd/${fd}`);
    if (number !== undefined) return diskOfNumber(devices, number);
  }
  return wholeDisk(devices, target.slice('/dev/'.length).replaceAll('/', '!'));
}

/** Firmware that is shared by all is often a link: its name, and that nobody may write to it, tell. */
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
