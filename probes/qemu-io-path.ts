import { nodesByUse } from './qemu-files.ts';
import { flag, type Options, type QemuOption } from './qemu-options.ts';

/** Settings and devices that take a VM's I/O, or the idling of its vCPUs, out of the host's view. */
export interface QemuIoPath {
  readonly signs: ReadonlySet<QemuIoSign>;
  /** Host's PCI addresses of NVMe devices that QEMU's own block driver uses, in full: `0000:01:00.0`. */
  readonly nvmeAddresses: readonly string[];
  /**
   * Character devices of vDPA that are network devices, or that QEMU's own block driver uses. libvirt passes a descriptor
   * instead of the path: `/dev/fdset/0`.
   */
  readonly vdpaWithoutDisk: readonly string[];
  /** Whether a device of the host is passed through. Its descriptors show which. */
  readonly hasVfioDevice: boolean;
}

export type QemuIoSign =
  | 'vhost_user'
  | 'vhost_scsi'
  | 'vdpa_disk'
  | 'vdpa_net'
  | 'vfio_user'
  | 'io_uring_passthrough'
  | 'user_space_driver'
  | 'virtio_mmio'
  | 'legacy_virtio'
  | 'architecture'
  | 'cpu_pm';

/** By the driver of a device. A generic vDPA device, and a vfio-user device, may be a disk. */
const DEVICES: readonly (readonly [RegExp, QemuIoSign])[] = [
  [/^vhost-user-(?:blk|scsi)(?=-|$)/, 'vhost_user'],
  [/^vhost-scsi(?=-|$)/, 'vhost_scsi'],
  [/^vhost-vdpa-device(?=-|$)/, 'vdpa_disk'],
  [/^vfio-user-pci$/, 'vfio_user'],
  [/^(?:virtio|vhost-user)-(?:blk|scsi)-device$/, 'virtio_mmio'],
  // diag 0x500 writes to an ioeventfd with no event but kvm_s390_handle_diag, which has no queue: arch/s390/kvm/diag.c.
  [/^(?:virtio|vhost-user)-(?:blk|scsi)-ccw$/, 'architecture'],
];
/**
 * Architectures on which KVM does not trace the writes to an ioeventfd with kvm_mmio, or no exits with reasons of x86 or arm64:
 * arch/{s390,powerpc,riscv,loongarch}/kvm/. Under KVM they are the host's.
 */
const OTHER_MACHINE = /^(?:s390-ccw-virtio|pseries|powernv)/;
const OTHER_PROGRAM = /^qemu-system-(?:s390x|ppc64|riscv64|loongarch64|mips64(?:el)?)$/;
const VFIO = /^vfio-(?:pci|ccw|platform)(?:-nohotplug)?$/;
const PCI_DISK = /^(?:virtio|vhost-user)-(?:blk|scsi)-pci(?:-transitional)?$/;
/** Block drivers of QEMU whose requests do not reach the host's block layer: qapi/block-core.json BlockdevDriver. */
const USER_SPACE = new Set([
  'ftp',
  'ftps',
  'gluster',
  'http',
  'https',
  'iscsi',
  'iser',
  'nbd',
  'nfs',
  'nvme',
  // The backups of Proxmox VE, during a live restore.
  'pbs',
  'rbd',
  'sheepdog',
  'ssh',
  'tftp',
  'vitastor',
  'vxhs',
  'virtio-blk-vfio-pci',
  'virtio-blk-vhost-user',
  'virtio-blk-vhost-vdpa',
]);
/** `nbd+unix://`, `nvme://`, `rbd:`: block.c bdrv_find_protocol(). */
const PROTOCOL = /^([a-z][a-z\d]*)(?:\+[a-z]+)?:/;
/** A file may be a node in JSON: `json:{"driver":"rbd",...}`, `json:{"file.driver":"ssh",...}`. */
const JSON_DRIVER = /"(?:[\w.-]{1,64}\.)?driver"\s*:\s*"([\w-]{1,64})"/g;
const NVME_URL = /^nvme:\/\/([^/]+)/;
const DRIVER = /^(?:.+\.)?driver$/;
const FILE = /^(?:.+\.)?(?:file|filename)$/;

/**
 * @param program file name of the executable
 * @example parseQemuIoPath(parseQemuOptions(['qemu', '-device', 'vhost-user-blk-pci,chardev=c0']).options) // vhost_user
 */
export function parseQemuIoPath(all: readonly QemuOption[], program = ''): QemuIoPath {
  const signs = new Set<QemuIoSign>();
  if (OTHER_PROGRAM.test(program)) signs.add('architecture');
  const nvme: string[] = [];
  const vdpa: string[] = [];
  let hasVfioDevice = false;
  const { disks, others } = nodesByUse(all);
  for (const { name, options } of all) {
    if (name === 'device') {
      for (const sign of signsOfDevice(options)) signs.add(sign);
      hasVfioDevice ||= VFIO.test(options.get('driver') ?? '');
    } else if (name === 'blockdev' || name === 'drive') {
      // A CD-ROM on a web server hides nothing of the disks.
      if (others.has(options) && !disks.has(options)) continue;
      for (const sign of signsOfNode(options)) signs.add(sign);
      nvme.push(...nvmeOf(options));
      if (driversOf(options).includes('virtio-blk-vhost-vdpa')) vdpa.push(...pathsOf(options));
    } else if (name === 'netdev' && options.get('type') === 'vhost-vdpa') {
      signs.add('vdpa_net');
      vdpa.push(options.get('vhostdev') ?? '');
    } else if (name === 'machine' && OTHER_MACHINE.test(options.get('type') ?? '')) signs.add('architecture');
    else if (name === 'overcommit' && flag(options, 'cpu-pm') === true) signs.add('cpu_pm');
  }
  return { signs, nvmeAddresses: nvme, vdpaWithoutDisk: vdpa, hasVfioDevice };
}

function signsOfDevice(options: Options): QemuIoSign[] {
  const driver = options.get('driver') ?? '';
  const signs = signsOfDriver(driver);
  const isLegacy = PCI_DISK.test(driver) && flag(options, 'disable-modern') === true;
  return isLegacy ? [...signs, 'legacy_virtio'] : signs;
}

/** The sign of a device by its driver alone, for a device that was plugged in later and that a monitor reports. */
export function signsOfDriver(driver: string): QemuIoSign[] {
  return DEVICES.flatMap(([pattern, sign]) => (pattern.test(driver) ? [sign] : []));
}

/** The sign of a block node as a monitor reports it: a file name, an address, or all options as JSON. */
export function signsOfFile(file: string): QemuIoSign[] {
  return signsOfNode(new Map([['file', file]]));
}

function signsOfNode(options: Options): QemuIoSign[] {
  return driversOf(options).flatMap((driver): QemuIoSign[] => {
    if (driver === 'nvme-io_uring') return ['io_uring_passthrough'];
    return USER_SPACE.has(driver) ? ['user_space_driver'] : [];
  });
}

/** The drivers of a node and of its inline child nodes, by name or by the protocol of a file. */
function driversOf(options: Options): string[] {
  return [...options].flatMap(([key, value]) => {
    if (DRIVER.test(key)) return [value];
    if (!FILE.test(key)) return [];
    const [, protocol] = PROTOCOL.exec(value) ?? [];
    if (protocol === 'json') return [...value.matchAll(JSON_DRIVER)].map(([, driver = '']) => driver);
    return protocol ?? [];
  });
}

function nvmeOf(options: Options): string[] {
  return [...options].flatMap(([key, value]) => {
    if (FILE.test(key)) return fullAddress(NVME_URL.exec(value)?.[1] ?? '');
    const isDevice = /^(?:.+\.)?device$/.test(key);
    return isDevice && driversOf(options).includes('nvme') ? fullAddress(value) : [];
  });
}

function pathsOf(options: Options): string[] {
  return [...options].flatMap(([key, value]) => (/^(?:.+\.)?path$/.test(key) ? [value] : []));
}

/** @example fullAddress('01:00.0') // ['0000:01:00.0'] */
function fullAddress(address: string): string[] {
  const short = /^(?:([\da-f]{4}):)?([\da-f]{2}:[\da-f]{2}\.[0-7])$/i.exec(address);
  return short === null ? [] : [`${short[1] ?? '0000'}:${short[2]}`.toLowerCase()];
}
