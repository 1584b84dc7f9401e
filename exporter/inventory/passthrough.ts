import type { Host } from '../../probes/host.ts';
import { type Descriptor, readTunInterface } from '../../probes/proc-pid-fd.ts';
import { readIommuGroup, readVfioDevice, type VfioDevice } from '../../probes/sys-iommu-groups.ts';
import type { Passthrough } from '../model/vm.ts';

const VFIO_GROUP = /^\/dev\/vfio\/(?:noiommu-)?(\d{1,10})$/;
const VFIO_DEVICE = /^\/dev\/vfio\/devices\/(vfio\d{1,10})$/;
const VDPA = /^\/dev\/vhost-vdpa-\d{1,10}$/;
const NVME_CHARACTER_DEVICE = /^\/dev\/ng\d{1,10}(?:c\d{1,10})?n\d{1,10}$/;
const TUN = '/dev/net/tun';
const VHOST_SCSI = '/dev/vhost-scsi';
/** A VM has few such devices; a hostile process may open thousands. */
const MAX_DEVICES = 256;

/** The devices of the host that a VM has open and that bypass QEMU or the host's block layer. */
export function passthroughOf(host: Host, descriptors: readonly Descriptor[]): Passthrough {
  const targets = [...new Set(descriptors.map(({ target }) => target))];
  const matched = (pattern: RegExp): string[] =>
    targets.flatMap((target) => pattern.exec(target)?.[1] ?? []).slice(0, MAX_DEVICES);
  const groups = matched(VFIO_GROUP);
  const names = matched(VFIO_DEVICE);
  return {
    vfio: [
      ...groups.flatMap((group) => orUnknown(group, readIommuGroup(host, group))),
      ...names.map((name) => readVfioDevice(host, name) ?? { address: name, pciClass: undefined }),
    ],
    vdpa: targets.filter((target) => VDPA.test(target)),
    hasNvmeCharacterDevice: targets.some((target) => NVME_CHARACTER_DEVICE.test(target)),
    hasVhostScsi: targets.includes(VHOST_SCSI),
  };
}

/** Names of the tap devices that a VM has open, each once: a device with several queues has several descriptors. */
export function tapsOf(host: Host, pid: number, descriptors: readonly Descriptor[]): string[] {
  const open = descriptors.filter(({ target }) => target === TUN).slice(0, MAX_DEVICES);
  return [...new Set(open.flatMap(({ fd }) => readTunInterface(host, pid, fd) ?? []))];
}

/** A group whose devices cannot be listed may have a disk. */
function orUnknown(group: string, devices: readonly VfioDevice[]): readonly VfioDevice[] {
  return devices.length > 0 ? devices : [{ address: `group ${group}`, pciClass: undefined }];
}
