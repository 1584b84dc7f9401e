import { resolveDevLink } from '../../probes/dev-links.ts';
import { readExternalJournal } from '../../probes/ext4-journal.ts';
import { readF2fsDevices } from '../../probes/f2fs-disk-map.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { blockDeviceName, diskOfPartition } from '../../probes/sys-block.ts';
import { type Carriers, NONE, only, together, unknown } from './carriers.ts';
import { type BlockDevices, diskOfNumber, diskOfPath, wholeDisk } from './whole-disks.ts';

/** File systems without disk images, or with images that are on no block device. */
const NO_IMAGES =
  /^(?:tmpfs|ramfs|devtmpfs|hugetlbfs|proc|sysfs|debugfs|tracefs|cgroup2?|devpts|mqueue|bpf|securityfs|pstore|configfs|efivarfs|fusectl|rpc_pipefs|autofs|binfmt_misc|nsfs|selinuxfs|smackfs|resctrl)$/;

/** The disks of a file system with block devices of its own. */
export function carriersOfMount(devices: BlockDevices, mount: Mount): Carriers {
  const numbered = mount.device.major === 0 ? undefined : diskOfNumber(devices, mount.device);
  const sources = sourcesOf(mount).map((path) => only(diskAt(devices, path)));
  const all = together([
    only(numbered),
    ...sources,
    ...namedInOptions(devices, mount),
    ...furtherOf(devices, mount),
  ]);
  if (all.disks.length > 0 || all.unknown.length > 0) return all;
  if (NO_IMAGES.test(mount.type)) return NONE;
  return unknown(`${mount.mountPoint} is on ${mount.type}, which names no block device of this host`);
}

/** bcachefs separates its devices with colons, which names in /dev/disk/by-path also contain. */
function sourcesOf({ source }: Mount): string[] {
  return source.split(/:(?=\/dev\/)/);
}

/** XFS: `rtdev=`, `logdev=`, as the administrator wrote them. */
function namedInOptions(devices: BlockDevices, mount: Mount): Carriers[] {
  return [...mount.options.matchAll(/(?:^|,)(\w+=)(\/dev\/[^,]+)/g)].map(([, option = '', path = '']) =>
    named(devices, mount, path, option),
  );
}

/** The devices that the kernel lists elsewhere. mountinfo shows one of them, or those given to mount. */
function furtherOf(devices: BlockDevices, mount: Mount): Carriers[] {
  switch (mount.type) {
    case 'btrfs':
    case 'bcachefs':
      return membersOf(devices, mount).map((name) => only(wholeDisk(devices, name)));
    case 'ext3':
    case 'ext4':
      return [journalOf(devices, mount)];
    case 'f2fs':
      return f2fsDevicesOf(devices, mount);
    default:
      return [];
  }
}

function membersOf(devices: BlockDevices, mount: Mount): readonly string[] {
  const sources = sourcesOf(mount).map((source) => kernelName(devices, source));
  return devices.fileSystems.find((all) => all.some((name) => sources.includes(name))) ?? [];
}

function journalOf(devices: BlockDevices, mount: Mount): Carriers {
  const own = blockDeviceName(devices.host, mount.device);
  const journal = own === undefined ? undefined : readExternalJournal(devices.host, own);
  if (journal === undefined) return NONE;
  const disk = journal === 'unknown' ? undefined : wholeDisk(devices, journal.device);
  return disk === undefined
    ? unknown(`${mount.mountPoint} is on ${mount.type} with an external journal whose device is unknown`)
    : only(disk);
}

function f2fsDevicesOf(devices: BlockDevices, mount: Mount): Carriers[] {
  const own = blockDeviceName(devices.host, mount.device);
  const paths = own === undefined ? undefined : readF2fsDevices(devices.host, own);
  if (paths !== undefined) return paths.map((path) => named(devices, mount, path, ''));
  return [
    unknown(`${mount.mountPoint} is on f2fs, whose further devices a kernel before 6.10 does not list`),
  ];
}

function named(devices: BlockDevices, mount: Mount, path: string, option: string): Carriers {
  const disk = diskAt(devices, path);
  return disk === undefined
    ? unknown(`${mount.mountPoint} is on ${mount.type} with ${option}${path}, which is no known block device`)
    : only(disk);
}

/** The disk of a path in /dev, which may be a link that udev made. */
function diskAt(devices: BlockDevices, path: string): string | undefined {
  const disk = diskOfPath(devices, path);
  if (disk !== undefined || !path.startsWith('/dev/')) return disk;
  const node = resolveDevLink(devices.host, path);
  return node === undefined ? undefined : diskOfPath(devices, node);
}

/** Kernel name of a disk or a partition: two file systems may share a disk. */
function kernelName(devices: BlockDevices, path: string): string | undefined {
  if (!path.startsWith('/dev/')) return undefined;
  const node = resolveDevLink(devices.host, path) ?? path;
  const name = node.slice('/dev/'.length).replaceAll('/', '!');
  return diskOfPartition(devices.host, name) === undefined ? diskOfPath(devices, node) : name;
}

export function mountOfPath(mounts: readonly Mount[], path: string): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    const prefix = mount.mountPoint === '/' ? '/' : `${mount.mountPoint}/`;
    // If two mounts have the same mount point, the later one covers the earlier.
    const isOver = `${path}/`.startsWith(prefix);
    if (isOver && mount.mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
  }
  return best;
}
