import { basename } from 'node:path';
import { utf8 } from '../../probes/host.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { type Descriptor, readDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import type { OtherFiles } from '../../probes/qemu-files.ts';
import { diskOfScsiGeneric } from '../../probes/sys-block.ts';
import type { BlockDeviceUse } from '../model/vm.ts';
import { type Carriers, NONE, only, unknown } from './carriers.ts';
import type { FileLookups } from './file-lookups.ts';
import { mountOfPath } from './file-systems.ts';
import { carriersOfFile } from './overlays.ts';
import { type BlockDevices, diskOfNumber, wholeDisk } from './whole-disks.ts';

/** In-memory file systems: they contain device nodes, which are safe to stat, and no disk images. */
const MEMORY_FILE_SYSTEMS = new Set(['devtmpfs', 'tmpfs']);

/** Disks in memory have no device below them. */
const MEMORY_DISK = /^(?:ram|zram|nullb)\d+$/;

const DELETED = / \(deleted\)$/;

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
    // ZFS, DRBD, nbd, ublk and drivers of other vendors.
    const isBottomless = !disk.physical && disk.slaves.length === 0 && disk.loopFile === undefined;
    if (isBottomless && !MEMORY_DISK.test(name))
      await this.add(unknown(`sysfs shows no disks below ${name}`), depth);
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
  // A process in a chroot sees only the mounts below it. Mount ids are unique on the host.
  const hasId = ({ id }: Mount): boolean => id === info.mountId;
  const mount = open.mounts.find(hasId) ?? devices.hostMounts.find(hasId);
  const isDevice = target.startsWith('/dev/');
  if (isNoDisk(target, info.readOnly, open.otherFiles)) return NONE;
  if (isDevice) return only(deviceAt(devices, open.pid, fd, target, mount));
  // Memory, such as /memfd:ram, is on an internal mount of the kernel and has no name.
  if (mount === undefined)
    return DELETED.test(target) ? NONE : unknown(`${utf8(target)} is on no known mount`);
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
  const name = target.replace(DELETED, '').slice('/dev/'.length).replaceAll('/', '!');
  return wholeDisk(devices, diskOfScsiGeneric(devices.host, name) ?? name);
}

/** A path of the command line may lead through links, or be relative, so the file's name decides as well. */
function isNoDisk(target: string, readOnly: boolean, { files, disks, folders }: OtherFiles): boolean {
  const path = utf8(target).replace(DELETED, '');
  if (files.has(path) || folders.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    return true;
  if (path.startsWith('/dev/')) return false;
  if (readOnly && /^\/(?:usr\/share|nix\/store)\//.test(path)) return true;
  const hasName = (file: string): boolean => basename(file) === basename(path);
  return [...files].some(hasName) && (readOnly || ![...disks].some(hasName));
}
