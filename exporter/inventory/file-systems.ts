import { parseOverlayOptions } from '../../probes/overlay-layers.ts';
import type { Mount } from '../../probes/proc-mountinfo.ts';
import { diskOfPartition } from '../../probes/sys-block.ts';
import { type BlockDevices, diskOfNumber, diskOfPath, wholeDisk } from './whole-disks.ts';

/** The disks below a file, or the reason why they are unknown. */
export interface Carriers {
  readonly disks: readonly string[];
  readonly why: string | undefined;
}

export const NONE: Carriers = { disks: [], why: undefined };

/** An overlay may contain overlays: a container in a container. */
const MAX_LAYERS = 8;
/** File systems without disk images, or with images that are on no block device. */
const NO_IMAGES =
  /^(?:tmpfs|ramfs|devtmpfs|hugetlbfs|proc|sysfs|debugfs|tracefs|cgroup2?|devpts|mqueue|bpf|securityfs|pstore|configfs|efivarfs|fusectl|rpc_pipefs|autofs|binfmt_misc|nsfs)$/;

export function only(disk: string | undefined): Carriers {
  return disk === undefined ? NONE : { disks: [disk], why: undefined };
}

/** @param readOnly whether the file is; in an overlay it may not have been copied up */
export function carriersOfMount(devices: BlockDevices, mount: Mount, readOnly: boolean, layer = 0): Carriers {
  if (mount.type === 'overlay') return carriersOfOverlay(devices, mount, readOnly, layer);
  const named = [...namedInOptions(mount), ...sourcesOf(mount)].flatMap(
    (path) => diskOfPath(devices, path) ?? [],
  );
  const numbered = mount.device.major === 0 ? undefined : diskOfNumber(devices, mount.device);
  const own = numbered === undefined ? named : [numbered, ...named];
  const all = [...own, ...otherDevicesOf(devices, mount)];
  if (all.length > 0) return { disks: [...new Set(all)], why: undefined };
  if (NO_IMAGES.test(mount.type)) return NONE;
  return {
    disks: [],
    why: `${mount.mountPoint} is on ${mount.type}, which names no block device of this host`,
  };
}

/** bcachefs separates its devices with colons, which names in /dev/disk/by-path also contain. */
function sourcesOf({ source }: Mount): string[] {
  return source.split(/:(?=\/dev\/)/);
}

/** XFS: `rtdev=`, `logdev=`; ext4: `journal_path=`; other file systems have similar options. */
function namedInOptions({ options }: Mount): string[] {
  return [...options.matchAll(/(?:^|,)\w+=(\/dev\/[^,]+)/g)].map(([, path = '']) => path);
}

/**
 * mountinfo shows one device of a file system with several, or, if it was mounted by UUID, a source that
 * cannot be resolved.
 */
function otherDevicesOf(devices: BlockDevices, mount: Mount): string[] {
  if (mount.type !== 'btrfs' && mount.type !== 'bcachefs') return [];
  const sources = sourcesOf(mount).map((source) => kernelName(devices, source));
  const own = devices.fileSystems.find((all) => all.some((name) => sources.includes(name)));
  return (own ?? []).flatMap((name) => wholeDisk(devices, name) ?? []);
}

/** Kernel name of a disk or a partition: two file systems may share a disk. */
function kernelName(devices: BlockDevices, path: string): string | undefined {
  if (!path.startsWith('/dev/')) return undefined;
  const name = path.slice('/dev/'.length).replaceAll('/', '!');
  return diskOfPartition(devices.host, name) === undefined ? diskOfPath(devices, path) : name;
}

/** A written file is in the upper layer; a file that is only read may be in any layer. */
function carriersOfOverlay(devices: BlockDevices, mount: Mount, readOnly: boolean, layer: number): Carriers {
  const { upper, lower } = parseOverlayOptions(mount.options);
  const unknown = { disks: [], why: `${mount.mountPoint} is an overlay whose layers are on no known mount` };
  const layers = readOnly || upper === undefined ? lower : [upper];
  const mounts = layers.flatMap((path) => mountOfPath(devices.hostMounts, path) ?? []);
  if (layer >= MAX_LAYERS || mounts.length === 0) return unknown;
  const found = [...new Set(mounts)].map((each) => carriersOfMount(devices, each, readOnly, layer + 1));
  return {
    disks: [...new Set(found.flatMap(({ disks }) => disks))],
    why: found.find(({ why }) => why !== undefined)?.why,
  };
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
