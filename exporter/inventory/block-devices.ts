import { basename } from 'node:path';
import { utf8 } from '../../probes/host.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import type { OtherFiles } from '../../probes/qemu-files.ts';
import type { BlockDeviceUse } from '../model/vm.ts';
import { type Carriers, NONE, only, unknown } from './carriers.ts';
import type { FileLookups } from './file-lookups.ts';
import { mountOfPath } from './file-systems.ts';
import { carriersOfFile } from './overlays.ts';
import { type BlockDevices, diskOfNumber, wholeDisk } from './whole-disks.ts';

/** In-memory file systems: they contain device nodes, which are safe to stat, and no disk images. */
const MEMORY_FILE_SYSTEMS = new Set(['devtmpfs', 'tmpfs']);

/** A volume of ZFS: drivers/.../zvol. It has no slaves/ in sysfs. */
const ZVOL = /^zd\d+$/;

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
  /** Why the list may be incomplete. */
  readonly unknown: readonly string[];
}

/**
 * Finds the block devices of a VM's disks: those that its process has open, and those below the file systems
 * of its open images, down through partitions, LVM, md, dm-crypt, bcache and loop to the hardware.
 */
export async function blockDevicesOf(
  devices: BlockDevices,
  lookups: FileLookups,
  open: OpenFiles,
): Promise<FoundDevices> {
  const stack = new Stack(devices, lookups);
  for (const descriptor of open.descriptors) {
    if (!descriptor.target.startsWith('/')) continue;
    await stack.add(await carriersOf(devices, lookups, open, descriptor), 0);
  }
  return stack.found;
}

/** Block devices by their depth below the VM. */
class Stack {
  readonly #depthOf = new Map<string, number>();
  readonly #unknown = new Set<string>();

  constructor(
    private readonly devices: BlockDevices,
    private readonly lookups: FileLookups,
  ) {}

  get found(): FoundDevices {
    const found = [...this.#depthOf].map(([device, depth]) => ({ device, depth }));
    return {
      devices: found.sort((a, b) => a.depth - b.depth || (a.device < b.device ? -1 : 1)),
      unknown: [...this.#unknown].sort(),
    };
  }

  async add({ disks, unknown }: Carriers, depth: number): Promise<void> {
    for (const disk of disks) await this.#descend(disk, depth);
    for (const why of unknown) this.#unknown.add(why);
  }

  async #descend(name: string, depth: number): Promise<void> {
    const disk = this.devices.disks.get(name);
    // Skipping a disk that is known at this depth also ends a loop in the stack.
    if (disk === undefined || (this.#depthOf.get(name) ?? Number.POSITIVE_INFINITY) <= depth) return;
    this.#depthOf.set(name, depth);
    for (const slave of disk.slaves) await this.add(only(wholeDisk(this.devices, slave)), depth + 1);
    if (disk.loopFile !== undefined) await this.add(await this.#belowLoop(name, disk.loopFile), depth + 1);
    if (ZVOL.test(name))
      await this.add(unknown(`${name} is a ZFS volume, whose disks sysfs does not show`), depth);
  }

  async #belowLoop(name: string, path: string): Promise<Carriers> {
    const mount = mountOfPath(this.devices.hostMounts, path);
    if (mount === undefined) return unknown(`the file of ${name} is on no known mount`);
    return carriersOfFile(this.devices, this.lookups, { mount, path, readOnly: false });
  }
}

async function carriersOf(
  devices: BlockDevices,
  lookups: FileLookups,
  open: OpenFiles,
  { fd, target }: Descriptor,
): Promise<Carriers> {
  const info = readDescriptorInfo(devices.host, open.pid, fd);
  if (info === undefined || info.writeOnly || info.pathOnly) return NONE;
  const mount = open.mounts.find(({ id }) => id === info.mountId);
  const isDevice = target.startsWith('/dev/');
  if (isNoDisk(target, info.readOnly && !isDevice, open.otherFiles)) return NONE;
  if (isDevice) return only(deviceAt(devices, open.pid, fd, target, mount));
  if (mount === undefined) return NONE;
  return carriersOfFile(devices, lookups, { mount, path: target, readOnly: info.readOnly });
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
  const path = utf8(target).replace(/ \(deleted\)$/, '');
  if (files.has(path) || folders.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    return true;
  if (!readOnly) return false;
  return (
    /^\/(?:usr\/share|nix\/store)\//.test(path) ||
    [...files].some((file) => basename(file) === basename(path))
  );
}
