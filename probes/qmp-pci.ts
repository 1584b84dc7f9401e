import { z } from 'zod';
import type { QmpConnection } from './qmp-connection.ts';
import { unexpected } from './qmp-unexpected.ts';

/** A BAR of a PCI device: guest-physical addresses, or I/O ports. */
export interface QmpPciRegion {
  readonly isPort: boolean;
  readonly address: number;
  readonly size: number;
}

export interface QmpPciDevice {
  /** The device's id; without an id, its address as `lspci` in the guest shows it: `00:02.0`. */
  readonly name: string;
  /** Whether it is a disk or a controller of disks by virtio. */
  readonly isVirtioStorage: boolean;
  readonly regions: readonly QmpPciRegion[];
}

const VIRTIO = 0x1af4;
/** Block and SCSI, with and without support of legacy drivers: VIRTIO 1.2, 4.1.2 and 5. */
const STORAGE: ReadonlySet<number> = new Set([0x1001, 0x1004, 0x1042, 0x1048]);
const MAX_DEVICES = 1024;
const MAX_BUSES = 8;
const small = z.int().nonnegative().max(0xffff);

const region = z.object({
  type: z.string().max(16),
  // The address is -1 for a BAR that the guest has not mapped.
  address: z
    .number()
    .min(-1)
    .max(2 ** 64),
  size: z
    .number()
    .nonnegative()
    .max(2 ** 64),
});

const device = z.object({
  bus: small,
  slot: small,
  function: small,
  qdev_id: z.string().max(256),
  id: z.object({ device: small, vendor: small }).optional(),
  regions: z.array(region).max(16),
  pci_bridge: z
    .object({ devices: z.array(z.unknown()).max(MAX_DEVICES) })
    .partial()
    .optional(),
});

const schema = z.array(z.object({ devices: z.array(z.unknown()).max(MAX_DEVICES) })).max(64);

/**
 * Parses the response to `query-pci`, hw/pci/pci-qmp-cmds.c: the guest addresses of all devices' BARs,
 * including devices behind bridges.
 *
 * @throws SourceError malformed
 * @example parsePci([{ bus: 0, devices: [{ bus: 0, slot: 1, function: 0, qdev_id: 'vda', regions: [] }] }])
 */
export function parsePci(reply: unknown): QmpPciDevice[] {
  const buses = schema.safeParse(reply);
  if (!buses.success) throw unexpected('query-pci', reply);
  const found: QmpPciDevice[] = [];
  for (const bus of buses.data) descend(bus.devices, 0, reply, found);
  return found;
}

function descend(devices: readonly unknown[], depth: number, reply: unknown, found: QmpPciDevice[]): void {
  for (const each of devices) {
    const parsed = device.safeParse(each);
    if (!parsed.success || depth > MAX_BUSES || found.length >= MAX_DEVICES)
      throw unexpected('query-pci', reply);
    const { bus, slot, function: func, qdev_id, id, regions, pci_bridge: bridge } = parsed.data;
    found.push({
      name: qdev_id === '' ? `${hex(bus)}:${hex(slot)}.${func}` : qdev_id,
      isVirtioStorage: id?.vendor === VIRTIO && STORAGE.has(id.device),
      regions: regions
        .filter(({ address }) => address >= 0)
        .map(({ type, address, size }) => ({ isPort: type === 'io', address, size })),
    });
    descend(bridge?.devices ?? [], depth + 1, reply, found);
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

export async function readPci(qmp: QmpConnection, timeoutMs: number): Promise<QmpPciDevice[]> {
  return parsePci(await qmp.execute('query-pci', timeoutMs));
}
