/** The parts of a VM's I/O that a host may see: values of the label `what`. docs/verdicts.md explains each. */
export const SIGHTS = ['io', 'block', 'kicks', 'queues', 'interrupts', 'exits', 'idle'] as const;

export type Sight = (typeof SIGHTS)[number];

/** Reasons why the host does not see all of it: values of the label `reason`, and the parts that each hides. */
export const HIDERS = {
  vhost_user: ['io', 'block'],
  vhost_scsi: ['io', 'block'],
  vdpa_disk: ['io', 'block', 'kicks', 'interrupts'],
  vdpa_net: ['interrupts'],
  vfio_disk: ['io', 'block', 'kicks', 'interrupts'],
  vfio_other: ['interrupts'],
  vfio_user: ['io', 'block', 'kicks', 'interrupts'],
  io_uring_passthrough: ['block'],
  user_space_driver: ['block'],
  virtio_mmio: ['queues'],
  legacy_virtio: ['queues'],
  architecture: ['kicks', 'queues', 'exits'],
  sev_es: ['kicks', 'exits'],
  sev_snp: ['kicks', 'exits'],
  tdx: ['kicks', 'exits'],
  confidential: ['kicks', 'exits'],
  guest_haltpoll: ['idle'],
  cpu_pm: ['idle'],
  tcg: ['kicks', 'queues', 'interrupts', 'exits', 'idle'],
} as const satisfies Readonly<Record<string, readonly Sight[]>>;

export type Hider = keyof typeof HIDERS;
