import type { QemuDevices } from '../../../probes/qemu-devices.ts';
import { devicePath } from '../../../probes/qmp-qom.ts';
import { hiderOf, type Visibility } from '../../model/visibility.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import type { Facts } from '../../sources/qmp/facts.ts';
import type { Growth } from '../stage/window.ts';
import type { Bounds } from './estimate.ts';

/** The kicks and interrupts of a VM's disks. */
export interface DiskEvents {
  /** undefined if kicks are not counted. */
  readonly kicks: Bounds | undefined;
  /** By virtqueue, of disks and of devices without a name. */
  readonly queues: readonly KickCount[];
  /** undefined if interrupts are not counted. */
  readonly interrupts: Bounds | undefined;
}

export interface DeviceFacts {
  readonly devices: QemuDevices | undefined;
  readonly facts: Pick<Facts, 'pci' | 'blocks'> | undefined;
  readonly visibility: Visibility;
  /** Name of the device with this notify address; undefined if unknown. */
  nameAt(kick: KickCount): string | undefined;
}

/** With less traffic than this per I/O, the interrupts of other devices do not matter. */
const QUIET = 0.05;

/**
 * Separates the disks' kicks by the notify addresses that QEMU's monitor reports. Interrupts have no device,
 * so they are the disks' only while the other devices are quiet.
 */
export function diskEventsOf(growth: Growth, of: DeviceFacts): DiskEvents {
  const { kicks, queues, interrupts, ios = 0 } = growth;
  const exactly = (count: number): Bounds => ({ least: count, most: count });
  const atMost = (count: number): Bounds => ({ least: 0, most: count });
  // A device that is passed through does not kick, and KVM has an event for some of its interrupts.
  const areOwn = hiderOf(of.visibility, 'interrupts') === undefined;
  if (growth.hasQueues && (of.facts?.pci.length ?? 0) > 0) {
    const { disks, others, nameless } = separate(queues, of);
    const least = sum(disks);
    const isQuiet = areOwn && sum(others) + sum(nameless) <= QUIET * ios;
    return {
      kicks: { least, most: least + sum(nameless) },
      queues: [...disks, ...nameless],
      interrupts: interrupts === undefined ? undefined : isQuiet ? exactly(interrupts) : atMost(interrupts),
    };
  }
  // The other virtio devices of a VM hardly kick.
  const isAlone = of.devices !== undefined && of.devices.nets.length === 0;
  const bounds = isAlone ? exactly : atMost;
  return {
    kicks: kicks === undefined ? undefined : bounds(kicks),
    queues: isAlone ? queues : [],
    interrupts: interrupts === undefined ? undefined : (areOwn ? bounds : atMost)(interrupts),
  };
}

function separate(
  queues: readonly KickCount[],
  { devices, facts, nameAt }: DeviceFacts,
): Record<'disks' | 'others' | 'nameless', KickCount[]> {
  const named = new Set(facts?.pci.map(({ name }) => name));
  const ofBlocks = (facts?.blocks ?? []).flatMap(({ qdev, removable }) =>
    removable ? [] : (idOf(qdev) ?? []),
  );
  const controllers = (devices?.storage ?? []).map(({ id }) => id);
  const disks = new Set([...ofBlocks, ...controllers]);
  // A device without an id has the name of its PCI address, so it may be a disk.
  const expected = controllers.length > 0 ? controllers : ofBlocks;
  const areKnown = expected.length > 0 && expected.every((id) => named.has(id));
  const found = { disks: [] as KickCount[], others: [] as KickCount[], nameless: [] as KickCount[] };
  for (const kick of queues) {
    const name = nameAt(kick);
    if (name !== undefined && disks.has(name)) found.disks.push(kick);
    else if (name !== undefined && areKnown) found.others.push(kick);
    else found.nameless.push(kick);
  }
  return found;
}

function idOf(qdev: string): string | undefined {
  return /^\/machine\/peripheral\/([^/]+)/.exec(devicePath(qdev) ?? '')?.[1];
}

function sum(kicks: readonly KickCount[]): number {
  return kicks.reduce((total, { count }) => total + count, 0);
}
