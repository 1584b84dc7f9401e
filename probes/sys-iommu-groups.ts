import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

/** A device that VFIO may give to a VM. */
export interface VfioDevice {
  /** `0000:01:00.0`; the UUID of a mediated device. */
  readonly address: string;
  /** Its PCI class, such as 0x010802 for NVMe. A mediated device has that of its parent. undefined if it has none. */
  readonly pciClass: number | undefined;
}

const MAX_DEVICES = 64;
/**
 * The PCI class for cryptographic adapters of s390x, which have none of their own: include/linux/pci_ids.h
 * PCI_BASE_CLASS_CRYPT.
 */
const CRYPTOGRAPHIC = 0x100000;

/**
 * The devices behind `/dev/vfio/<group>`. They belong to the VM together.
 *
 * @see https://docs.kernel.org/driver-api/vfio.html
 * @returns empty if the group does not exist
 */
export function readIommuGroup(host: Host, group: string): VfioDevice[] {
  const folder = `${host.roots.sysfs}/kernel/iommu_groups/${group}/devices`;
  const names = ifThere(() => host.entries(folder)) ?? [];
  return names
    .slice(0, MAX_DEVICES)
    .map((address) => ({ address, pciClass: readClass(host, `${folder}/${address}`) }));
}

/** The device behind `/dev/vfio/devices/<name>`, Linux 6.6; undefined if it does not exist. */
export function readVfioDevice(host: Host, name: string): VfioDevice | undefined {
  const link = `${host.roots.sysfs}/class/vfio-dev/${name}/device`;
  const address = ifThere(() => host.link(link))
    ?.split('/')
    .at(-1);
  return address === undefined ? undefined : { address, pciClass: readClass(host, link) };
}

/** `folder` is a link, so its parent is the device that a mediated device is a part of, such as the GPU of a vGPU. */
function readClass(host: Host, folder: string): number | undefined {
  for (const device of [folder, `${folder}/..`]) {
    const text = ifThere(() => host.attribute(`${device}/class`));
    if (text !== undefined) return parsePciClass(text);
  }
  const api = ifThere(() => host.attribute(`${folder}/mdev_type/device_api`));
  return api === 'vfio-ap\n' ? CRYPTOGRAPHIC : undefined;
}

/** @example parsePciClass('0x010802\n') // 0x010802 */
export function parsePciClass(text: string): number | undefined {
  const digits = /^0x([\da-f]{6})\n?$/i.exec(text)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}
