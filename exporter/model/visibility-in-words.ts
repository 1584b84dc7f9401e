import { type Hider, SIGHTS, type Sight } from '../metrics/visibility.ts';
import type { Visibility } from './visibility.ts';

const SIGHT_WORDS: Readonly<Record<Sight, string>> = {
  io: 'requests of its disks and their duration',
  block: "its requests in the host's block layer",
  kicks: 'kicks',
  queues: 'the queue of each kick',
  interrupts: 'interrupts',
  exits: 'reasons of exits',
  idle: 'idle vCPUs',
};

/** Each reason, and the place where the numbers are instead. */
export const HIDER_WORDS: Readonly<Record<Hider, string>> = {
  vhost_user: 'another process serves its disk by vhost-user: count the I/Os there (SPDK: bdev_get_iostat)',
  vhost_scsi: 'the kernel serves its disk by vhost-scsi: count the I/Os at the target (configfs, statistics)',
  vdpa_disk: 'a vDPA device, which may be a disk, is notified by the guest itself',
  vdpa_net: 'a vDPA network device interrupts the guest itself',
  vfio_disk: 'a disk is passed through by VFIO, or a device that may be one: measure in the guest',
  vfio_other: 'a device that is no disk is passed through by VFIO and interrupts the guest itself',
  vfio_user: 'another process serves a device by vfio-user, which may be a disk: count the I/Os there',
  io_uring_passthrough: 'io_uring passthrough (/dev/ng*) bypasses the block layer',
  user_space_driver: 'a block driver of QEMU (nvme, rbd, nbd, iscsi, ...) bypasses the block layer',
  virtio_mmio: 'all queues of a virtio-mmio device share one address',
  legacy_virtio: 'all queues of a legacy virtio device share one port',
  architecture:
    'on s390x, POWER, RISC-V and LoongArch KVM may have no event for a kick, and none with the reasons of exits that are known here',
  sev_es: 'the exits of a SEV-ES guest arrive as VMGEXIT, and KVM may have no event for its kicks',
  sev_snp: 'the exits of a SEV-SNP guest arrive as VMGEXIT, and KVM may have no event for its kicks',
  tdx: 'the exits of a TDX guest arrive as TDCALL, and KVM may have no event for its kicks',
  confidential:
    'the guest is confidential: its exits have no reasons, and KVM may have no event for its kicks',
  guest_haltpoll: 'the guest polls before it halts (haltpoll): a vCPU looks busy while it waits',
  cpu_pm: 'the guest halts without an exit (-overcommit cpu-pm=on): a vCPU looks busy while it idles',
  tcg: 'QEMU runs the guest without KVM: there are no exits',
};

/** One line for each reason, with all parts that it hides. */
export function hiddenInWords(visibility: Visibility): string[] {
  const byHider = new Map<Hider, Sight[]>();
  for (const [sight, hiders] of visibility)
    for (const hider of hiders) byHider.set(hider, [...(byHider.get(hider) ?? []), sight]);
  return [...byHider].map(([hider, sights]) => hiderInWords(hider, sights));
}

/** `requests of its disks and their duration, ...: another process serves its disk by vhost-user: ...`. */
export function hiderInWords(hider: Hider, sights: readonly Sight[]): string {
  return `${sightsInWords(sights)}: ${HIDER_WORDS[hider]}`;
}

/** `kicks, interrupts`; empty if nothing is certain. */
export function seenInWords(visibility: Visibility): string {
  return sightsInWords(SIGHTS.filter((sight) => visibility.get(sight)?.length === 0));
}

/** The unknown parts, whose facts were not read. */
export function unexaminedInWords(visibility: Visibility): string {
  return sightsInWords(SIGHTS.filter((sight) => !visibility.has(sight)));
}

function sightsInWords(sights: readonly Sight[]): string {
  return sights.map((sight) => SIGHT_WORDS[sight]).join(', ');
}
