import { wholeDecimal } from './decimal.ts';
import { backendOf, nodeOf, type QemuDrive } from './qemu-backends.ts';
import { flag, type Options, optionMap } from './qemu-options.ts';

/** The paravirtual devices that a QEMU command line asks for; what is plugged in later is not on it. */
export interface QemuDevices {
  readonly storage: readonly QemuStorage[];
  readonly nets: readonly QemuNet[];
  readonly iothreads: readonly QemuIothread[];
}

/** A virtio-blk disk or a virtio-scsi controller; undefined is QEMU's default. */
export interface QemuStorage {
  readonly id: string;
  readonly kind: 'virtio-blk' | 'virtio-scsi';
  /** The default since QEMU 5.2 is one for each vCPU. */
  readonly queues: number | undefined;
  readonly iothread: string | undefined;
  /** iothread-vq-mapping, QEMU 9.0 and newer; entries without queues take turns. */
  readonly mapping: readonly QemuMapping[];
  readonly packed: boolean | undefined;
  readonly eventIdx: boolean | undefined;
  /** One for virtio-blk; a controller has one for each disk. */
  readonly drives: readonly QemuDrive[];
}

export interface QemuMapping {
  readonly iothread: string;
  readonly queues: readonly number[];
}

export interface QemuNet {
  readonly id: string;
  /** Whether the kernel's vhost-net moves the packets. */
  readonly vhost: boolean;
}

export interface QemuIothread {
  readonly id: string;
  /** undefined is QEMU's default of 32768; 0 turns polling off. */
  readonly pollMaxNs: number | undefined;
}

/** A command line names some hundred devices at most. */
const MAX_DEVICES = 1024;

/**
 * `-device`, `-drive`, `-blockdev`, `-netdev`, `-nic` and `-object iothread`, in their key=value and JSON forms.
 *
 * @see https://www.qemu.org/docs/master/system/invocation.html
 * @example parseQemuDevices(['qemu', '-device', 'virtio-blk-pci,drive=d0,num-queues=4,iothread=io0,id=vda'])
 */
export function parseQemuDevices(argv: readonly string[]): QemuDevices {
  const nodes = new Map<string, Options>();
  const devices: Options[] = [];
  const nets: QemuNet[] = [];
  const iothreads: QemuIothread[] = [];
  for (let i = 1; i < argv.length && devices.length + nodes.size < MAX_DEVICES; i++) {
    const option = (argv[i] ?? '').replace(/^--?/, '-');
    const value = argv[i + 1] ?? '';
    if (option === '-device') devices.push(optionMap(value, 'driver'));
    else if (option === '-blockdev' || option === '-drive') {
      const node = optionMap(value, option === '-drive' ? 'file' : 'driver');
      nodes.set(nodeOf(node), node);
      if (node.get('if') === 'virtio') devices.push(impliedDevice(node));
    } else if (option === '-netdev' || option === '-nic') {
      const net = optionMap(value, 'type');
      nets.push({ id: net.get('id') ?? '', vhost: flag(net, 'vhost') ?? flag(net, 'vhostforce') ?? false });
    } else if (option === '-object') {
      const object = optionMap(value, 'qom-type');
      const id = object.get('id');
      if (object.get('qom-type') !== 'iothread' || id === undefined) continue;
      iothreads.push({ id, pollMaxNs: wholeDecimal(object.get('poll-max-ns') ?? '') });
    } else continue;
    i++;
  }
  return { storage: storageOf(devices, nodes), nets, iothreads };
}

/** `-drive if=virtio` brings its disk along. */
function impliedDevice(drive: Options): Options {
  return new Map([
    ['driver', 'virtio-blk'],
    ['id', drive.get('id') ?? ''],
    ['drive', nodeOf(drive)],
  ]);
}

function storageOf(devices: readonly Options[], nodes: ReadonlyMap<string, Options>): QemuStorage[] {
  const firstBus = devices.find((device) => kindOf(device) === 'virtio-scsi')?.get('id');
  return devices.flatMap((device) => {
    const kind = kindOf(device);
    if (kind === undefined) return [];
    const id = device.get('id') ?? '';
    const disks =
      kind === 'virtio-blk' ? [device] : devices.filter((disk) => isOn(disk, id, id === firstBus));
    return [
      {
        id,
        kind,
        // virtio-scsi spells it with an underscore.
        queues: wholeDecimal(device.get('num-queues') ?? device.get('num_queues') ?? ''),
        iothread: device.get('iothread'),
        mapping: mappingOf(device),
        packed: flag(device, 'packed'),
        eventIdx: flag(device, 'event_idx'),
        drives: disks.flatMap((disk) => backendOf(disk.get('drive'), nodes) ?? []),
      },
    ];
  });
}

function kindOf(device: Options): QemuStorage['kind'] | undefined {
  const kind = /^virtio-(?:blk|scsi)(?=-|$)/.exec(device.get('driver') ?? '')?.[0];
  return kind as QemuStorage['kind'] | undefined;
}

/** Whether it is a disk on this controller: `bus=ID.0`, or no bus said, which is the first one that fits. */
function isOn(disk: Options, controller: string, isFirst: boolean): boolean {
  if (!/^scsi-(?:hd|block|generic|cd)$/.test(disk.get('driver') ?? '')) return false;
  const bus = disk.get('bus');
  return bus === undefined ? isFirst : bus === `${controller}.0`;
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
