import { wholeDecimal } from '../kernel/decimal.ts';
import { type QemuDrive, QemuNodes } from './qemu-backends.ts';
import { flag, type Options, type QemuOption } from './qemu-options.ts';
import { ScsiBuses } from './qemu-scsi-buses.ts';

/** The paravirtual devices of QEMU's options, without hot-plugged ones. */
export interface QemuDevices {
  readonly storage: readonly QemuStorage[];
  readonly nets: readonly QemuNet[];
  readonly iothreads: readonly QemuIothread[];
}

/**
 * A disk or a SCSI controller; undefined means QEMU's default. `vhost` means that the disk, or the controller
 * with its disks, is served outside QEMU: the I/O path beyond QEMU is unknown.
 */
export interface QemuStorage {
  readonly id: string;
  readonly kind: 'virtio-blk' | 'virtio-scsi' | 'vhost';
  /** The default since QEMU 5.2 is one per vCPU. */
  readonly queues: number | undefined;
  readonly iothread: string | undefined;
  /** iothread-vq-mapping, QEMU 9.0 and newer. Entries without queues get the queues round-robin. */
  readonly mapping: readonly QemuMapping[];
  readonly packed: boolean | undefined;
  readonly eventIdx: boolean | undefined;
  /** One for virtio-blk; one per disk for a controller. */
  readonly drives: readonly QemuDrive[];
}

export interface QemuMapping {
  readonly iothread: string;
  readonly queues: readonly number[];
}

export interface QemuNet {
  readonly id: string;
  /** Whether the kernel's vhost-net transfers the packets. */
  readonly vhost: boolean;
}

export interface QemuIothread {
  readonly id: string;
  /** undefined means QEMU's default of 32768; 0 disables polling. */
  readonly pollMaxNs: number | undefined;
}

/**
 * Machines on which a `-drive` without `if=` is a virtio disk: hw/arm/virt.c, hw/s390x/s390-virtio-ccw.c,
 * hw/riscv/virt.c. Distributions have versions of their own: `virt-rhel9.4.0`, `s390-ccw-virtio-jammy`.
 */
const VIRTIO_BY_DEFAULT = /^(?:virt|s390-ccw-virtio)(?:-[\w.]+)?$/;

/**
 * Reads the devices of `-device`, `-drive`, `-blockdev`, `-netdev`, `-nic` and `-object iothread`.
 *
 * @returns undefined if the controller of a disk cannot be determined
 * @see https://www.qemu.org/docs/master/system/invocation.html
 * @example parseQemuDevices(parseQemuOptions(['qemu', '-device', 'virtio-blk-pci,drive=d0,num-queues=4']).options)
 */
export function parseQemuDevices(all: readonly QemuOption[]): QemuDevices | undefined {
  const nodes = new QemuNodes();
  const machine = all.findLast(({ name, options }) => name === 'machine' && options.has('type'));
  const defaultKind = VIRTIO_BY_DEFAULT.test(machine?.options.get('type') ?? '') ? 'virtio' : 'ide';
  const devices: Options[] = [];
  /** QEMU creates these after the devices of `-device`. */
  const implied: Options[] = [];
  const nets: QemuNet[] = [];
  const iothreads: QemuIothread[] = [];
  for (const { name, options } of all) {
    if (name === 'device') devices.push(options);
    else if (name === 'blockdev') nodes.add(options);
    else if (name === 'drive') {
      const kind = options.get('if') ?? defaultKind;
      const drive = nodes.addDrive(options, kind);
      if (kind === 'virtio' && options.get('media') !== 'cdrom') implied.push(impliedDisk(drive));
    } else if (name === 'netdev' || name === 'nic') {
      const vhost = flag(options, 'vhost') ?? flag(options, 'vhostforce') ?? false;
      nets.push({ id: options.get('id') ?? '', vhost });
    } else if (name === 'object' && options.get('qom-type') === 'iothread') {
      const id = options.get('id');
      if (id !== undefined) iothreads.push({ id, pollMaxNs: wholeDecimal(options.get('poll-max-ns') ?? '') });
    }
  }
  const buses = new ScsiBuses(devices);
  if (!buses.areCertain) return undefined;
  const storage = [...devices, ...implied].flatMap((device) => storageOf(device, buses, nodes) ?? []);
  return { storage, nets, iothreads };
}

/** `-drive if=virtio` also creates the disk device. */
function impliedDisk(drive: string): Options {
  return new Map([
    ['driver', 'virtio-blk'],
    ['id', drive],
    ['drive', drive],
  ]);
}

function storageOf(device: Options, buses: ScsiBuses, nodes: QemuNodes): QemuStorage | undefined {
  const kind = kindOf(device.get('driver') ?? '');
  if (kind === undefined) return undefined;
  const disks = kind === 'virtio-blk' ? [device] : kind === 'virtio-scsi' ? buses.disksOn(device) : [];
  return {
    id: device.get('id') ?? '',
    kind,
    // virtio-scsi spells the property with an underscore.
    queues: wholeDecimal(device.get('num-queues') ?? device.get('num_queues') ?? ''),
    iothread: device.get('iothread'),
    mapping: mappingOf(device),
    packed: flag(device, 'packed'),
    eventIdx: flag(device, 'event_idx'),
    drives: disks.flatMap((disk) => nodes.backendOf(disk.get('drive')) ?? []),
  };
}

function kindOf(driver: string): QemuStorage['kind'] | undefined {
  if (/^vhost-(?:user-(?:blk|scsi)|scsi)(?=-|$)/.test(driver)) return 'vhost';
  const kind = /^virtio-(?:blk|scsi)(?=-|$)/.exec(driver)?.[0];
  return kind as 'virtio-blk' | 'virtio-scsi' | undefined;
}

function mappingOf(device: Options): QemuMapping[] {
  const mapping: QemuMapping[] = [];
  for (let i = 0; ; i++) {
    const iothread = device.get(`iothread-vq-mapping.${i}.iothread`);
    if (iothread === undefined) return mapping;
    const queues: number[] = [];
    for (let j = 0; ; j++) {
      const queue = wholeDecimal(device.get(`iothread-vq-mapping.${i}.vqs.${j}`) ?? '');
      if (queue === undefined) break;
      queues.push(queue);
    }
    mapping.push({ iothread, queues });
  }
}
