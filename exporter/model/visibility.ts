import { HIDERS, type Hider, SIGHTS, type Sight } from '../metrics/visibility.ts';
import type { Passthrough, Vm } from './vm.ts';
import type { KernelFacts as AllFacts } from './vm-statistics.ts';

/**
 * The parts of a VM's I/O that the host sees. An empty list means that the host sees all of the part. A missing part
 * is unknown, because its facts were not read.
 */
export type Visibility = ReadonlyMap<Sight, readonly Hider[]>;

export type VisibilityFacts = Pick<
  Vm,
  'accel' | 'confidential' | 'ioPath' | 'libvirtDisks' | 'monitorSigns' | 'passthrough'
>;

/** The parts that depend on the VM's devices. */
const OF_DEVICES: readonly Sight[] = ['io', 'block', 'kicks', 'queues', 'interrupts'];
/** PCI class of mass storage, without its subclass: include/linux/pci_ids.h PCI_BASE_CLASS_STORAGE. */
const STORAGE = 0x01;
/** Where QEMU opens a descriptor that libvirt passes with -add-fd. */
const FDSET = '/dev/fdset/';
const CONFIDENTIAL_TYPES = ['sev', 'sev_es', 'sev_snp', 'tdx'] as const;

type KernelFacts = Omit<AllFacts, 'vm' | 'apicv'>;

/** By the type of a disk of libvirt, which may have been plugged in later. */
const LIBVIRT_DISKS: Readonly<Record<string, Hider>> = {
  network: 'user_space_driver',
  nvme: 'user_space_driver',
  vhostuser: 'vhost_user',
  vhostvdpa: 'user_space_driver',
};

/** @param kernel as KVM reports it; undefined without BPF */
export function visibilityOf(vm: VisibilityFacts, kernel: KernelFacts | undefined): Visibility {
  const hiders = hidersOf(vm, kernel);
  const known = knownOf(vm, kernel);
  return new Map(
    SIGHTS.flatMap((sight): [Sight, Hider[]][] => {
      const own = hiders.filter((hider) => (HIDERS[hider] as readonly Sight[]).includes(sight));
      return own.length > 0 || known.has(sight) ? [[sight, own]] : [];
    }),
  );
}

/** The reason why the host does not see all of it; undefined if it does, or if that is unknown. */
export function hiderOf(visibility: Visibility, sight: Sight): Hider | undefined {
  return visibility.get(sight)?.[0];
}

function hidersOf(vm: VisibilityFacts, kernel: KernelFacts | undefined): Hider[] {
  const found = new Set<Hider>([...(vm.ioPath?.signs ?? []), ...(vm.monitorSigns ?? [])]);
  for (const { type = '' } of vm.libvirtDisks ?? []) {
    const hider = Object.hasOwn(LIBVIRT_DISKS, type) ? LIBVIRT_DISKS[type] : undefined;
    if (hider !== undefined) found.add(hider);
  }
  if (vm.accel === 'tcg') found.add('tcg');
  for (const hider of ofDescriptors(vm)) found.add(hider);
  const type = confidentialOf(vm, kernel);
  // SEV encrypts only the memory. KVM sees each exit and its reason.
  if (type !== undefined && type !== 'sev') found.add(type);
  if (kernel?.guestPolls === true) found.add('guest_haltpoll');
  if (kernel?.haltsInside === true) found.add('cpu_pm');
  // Two queues of one address differ only in the written value, which no event of KVM has.
  if (kernel?.notifyAddresses?.some(({ isPort, queues }) => !isPort && queues > 1) === true)
    found.add('virtio_mmio');
  return (Object.keys(HIDERS) as Hider[]).filter((hider) => found.has(hider));
}

function ofDescriptors({ ioPath, passthrough }: VisibilityFacts): Hider[] {
  if (passthrough === undefined) return ioPath?.hasVfioDevice === true ? ['vfio_disk'] : [];
  const { vfio, vdpa, hasNvmeCharacterDevice, hasVhostScsi } = passthrough;
  const ownDriver = new Set(ioPath?.nvmeAddresses);
  const ofVfio = vfio
    .filter(({ address }) => !ownDriver.has(address))
    .map(({ pciClass }) => (isDisk(pciClass) ? 'vfio_disk' : 'vfio_other'));
  const withoutDisk = new Set(ioPath?.vdpaWithoutDisk);
  // The paths behind a descriptor set are unknown, but their number is known.
  const passed = [...withoutDisk].filter((path) => path.startsWith(FDSET)).length;
  const isVdpaKnown = vdpa.filter((path) => !withoutDisk.has(path)).length <= passed;
  return [
    ...ofVfio,
    ...(isVdpaKnown ? [] : (['vdpa_disk'] as const)),
    ...(hasNvmeCharacterDevice ? (['io_uring_passthrough'] as const) : []),
    ...(hasVhostScsi ? (['vhost_scsi'] as const) : []),
  ];
}

/** A device without a class may be a disk. */
function isDisk(pciClass: Passthrough['vfio'][number]['pciClass']): boolean {
  return pciClass === undefined || Math.floor(pciClass / 0x1_0000) === STORAGE;
}

/** KVM reports the type of a guest since Linux 6.8; before, only the configuration has it. */
function confidentialOf(vm: VisibilityFacts, kernel: KernelFacts | undefined): Vm['confidential'] {
  return CONFIDENTIAL_TYPES.find((type) => type === kernel?.confidential) ?? vm.confidential;
}

function knownOf(vm: VisibilityFacts, kernel: KernelFacts | undefined): Set<Sight> {
  const hasConfiguration = vm.ioPath !== undefined;
  return new Set<Sight>([
    ...(hasConfiguration && vm.passthrough !== undefined ? OF_DEVICES : []),
    ...(hasConfiguration || kernel?.confidential !== undefined ? (['exits'] as const) : []),
    ...(kernel?.guestPolls === false && kernel.haltsInside === false ? (['idle'] as const) : []),
  ]);
}
