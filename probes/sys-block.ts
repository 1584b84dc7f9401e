import { wholeDecimal } from '../kernel/decimal.ts';
import { ifThere } from './errors.ts';
import type { DeviceNumber, Host } from './host.ts';
import { readDiskstats } from './proc-diskstats.ts';

/** A whole disk (not a partition) in `/sys/block`. */
export interface Disk {
  readonly name: string;
  /** undefined for a hidden path of an NVMe multipath disk if procfs does not list it. */
  readonly device: DeviceNumber | undefined;
  /** The disks directly below this one: `slaves` of LVM, md and dm-crypt. */
  readonly slaves: readonly string[];
  /** device-mapper name, as in `/dev/mapper/<name>`. */
  readonly mapperName: string | undefined;
  /** File of a loop device. */
  readonly loopFile: string | undefined;
  /** Hidden NVMe paths (`nvme0c0n1`) that carry this disk's requests and have its queues and counters. */
  readonly paths: readonly string[];
  /** The disk is a hidden path; it is reported as part of its multipath disk. */
  readonly hidden: boolean;
  /** The devices that have the disk's queues: its paths, or the disk itself. */
  readonly carriers: readonly DiskCarrier[];
  /** NVMe controllers of all carriers. */
  readonly controllers: readonly string[];
  /** NUMA node of all carriers; undefined if it is unknown, or if they are on different nodes. */
  readonly node: number | undefined;
  /** The disk is a hardware device, or the host sees it as one. */
  readonly physical: boolean;
}

export interface DiskCarrier {
  readonly name: string;
  /** NVMe controller (`nvme0`): the prefix of its interrupts' names. */
  readonly controller: string | undefined;
  /** undefined if there is none or the firmware does not report it. */
  readonly node: number | undefined;
}

const NVME_PATH = /^nvme(\d+)c\d+n(\d+)$/;
const CONTROLLER = /\/nvme\/(nvme\d+)\//;

/**
 * Reads all disks and how they are stacked, from `dev`, `slaves/`, `loop/backing_file` and `device/` in
 * `/sys/block/*`.
 *
 * @throws SourceError if /sys/block cannot be listed
 * @see https://docs.kernel.org/admin-guide/abi-stable.html#abi-sys-block-disk
 */
export function readDisks(host: Host): Disk[] {
  const names = host.entries(`${host.roots.sysfs}/block`).sort();
  const paths = names.filter((name) => NVME_PATH.test(name));
  const pathNumbers = paths.length > 0 ? pathNumbersOf(host) : undefined;
  return names.map((name) => readDisk(host, name, paths, pathNumbers?.get(name)));
}

/** Optional: the numbers are needed only to assign trace events to paths. */
function pathNumbersOf(host: Host): ReadonlyMap<string, DeviceNumber> | undefined {
  try {
    return readDiskstats(host);
  } catch {
    return undefined;
  }
}

function readDisk(
  host: Host,
  name: string,
  nvmePaths: readonly string[],
  pathNumber: DeviceNumber | undefined,
): Disk {
  const base = `${host.roots.sysfs}/block/${name}`;
  const paths = nvmePaths.filter((path) => headOf(path) === name);
  const links = (paths.length > 0 ? paths : [name]).map((carrier) => ({
    carrier,
    link: ifThere(() => host.link(`${host.roots.sysfs}/block/${carrier}`)) ?? '',
  }));
  const carriers = links.map(({ carrier, link }) => ({
    name: carrier,
    controller: CONTROLLER.exec(link)?.[1],
    // A loop or device-mapper disk has no node, and a host may have hundreds.
    node: isVirtual(link) ? undefined : numaNode(host, carrier, link),
  }));
  const nodes = new Set(carriers.map(({ node }) => node));
  const loopFile = name.startsWith('loop')
    ? ifThere(() => host.attribute(`${base}/loop/backing_file`))
    : undefined;
  return {
    name,
    device: deviceNumber(ifThere(() => host.attribute(`${base}/dev`))) ?? pathNumber,
    slaves: ifThere(() => host.entries(`${base}/slaves`))?.sort() ?? [],
    mapperName: name.startsWith('dm-')
      ? ifThere(() => host.attribute(`${base}/dm/name`))?.replace(/\n$/, '')
      : undefined,
    loopFile: loopFile?.replace(/\n$/, ''),
    paths,
    hidden: NVME_PATH.test(name),
    carriers,
    controllers: [...new Set(carriers.flatMap(({ controller }) => controller ?? []))],
    node: nodes.size === 1 ? carriers[0]?.node : undefined,
    physical: links.some(({ link }) => isPhysical(link)),
  };
}

/** `nvme0c1n2` is a path of `nvme0n2`, drivers/nvme/host/multipath.c. */
function headOf(path: string): string | undefined {
  const match = NVME_PATH.exec(path);
  return match === null ? undefined : `nvme${match[1]}n${match[2]}`;
}

function deviceNumber(text: string | undefined): DeviceNumber | undefined {
  const [major, minor] = (text ?? '').trim().split(':').map(wholeDecimal);
  return major === undefined || minor === undefined ? undefined : { major, minor };
}

function isPhysical(link: string): boolean {
  return link !== '' && !isVirtual(link);
}

/** NVMe over Fabrics is a real device on a virtual bus. */
function isVirtual(link: string): boolean {
  return link.includes('/devices/virtual/') && !link.includes('/nvme-fabrics/');
}

/**
 * NUMA node of the nearest ancestor device that has one; the kernel reports -1 if there is none. Only NVMe
 * has a `device` link at each level. For virtio and SCSI disks the parent directories are read.
 *
 * @param link target of `/sys/block/<disk>`: `../devices/pci0000:00/0000:00:02.0/virtio1/block/vda`
 */
function numaNode(host: Host, disk: string, link: string): number | undefined {
  const directories: string[] = [];
  for (let depth = 1; depth <= 4; depth++) directories.push(`block/${disk}${'/device'.repeat(depth)}`);
  const steps = link.split('/').filter((step) => step !== '..');
  for (let length = steps.length - 1; length > 1; length--)
    directories.push(steps.slice(0, length).join('/'));
  for (const directory of directories) {
    const path = `${host.roots.sysfs}/${directory}/numa_node`;
    const node = wholeDecimal(ifThere(() => host.attribute(path)) ?? '');
    if (node !== undefined) return node;
  }
  return undefined;
}

/** The whole disk of a partition, from the link in `/sys/class/block`; undefined for an unknown name. */
export function diskOfPartition(host: Host, name: string): string | undefined {
  if (!/^[\w!.-]{1,64}$/.test(name)) return undefined;
  const link = ifThere(() => host.link(`${host.roots.sysfs}/class/block/${name}`));
  return link?.split('/').at(-2);
}

/** The disk of a SCSI device's character device, `sg0`; undefined for another name, and for a tape. */
export function diskOfScsiGeneric(host: Host, name: string): string | undefined {
  if (!/^sg\d{1,5}$/.test(name)) return undefined;
  return ifThere(() => host.entries(`${host.roots.sysfs}/class/scsi_generic/${name}/device/block`))?.[0];
}

/** Kernel name of the disk or partition with this device number; undefined if there is no such device. */
export function blockDeviceName(host: Host, device: DeviceNumber): string | undefined {
  return ifThere(() => host.link(`${host.roots.sysfs}/dev/block/${device.major}:${device.minor}`))
    ?.split('/')
    .at(-1);
}
