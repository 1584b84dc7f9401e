import { Random } from '../random.ts';
import { type Fleet, fleet } from './fleet.ts';
import {
  type DiskKind,
  Incidents,
  injectIntoVm,
  type ScenarioWithIncidents,
  type VmKind,
} from './incident.ts';
import { living } from './normal.ts';
import type { ScenarioOptions } from './scenario.ts';

type Row = readonly [kind: VmKind, vm: string, size: number, from: number, minutes: number];
type DiskRow = readonly [kind: DiskKind, disk: string, size: number, from: number, minutes: number];

/**
 * Times in minutes. Uses only VMs without other events; no VM on `nvme5n1` between 195 and 310, during the
 * incident of that disk.
 */
const OF_VMS: readonly Row[] = [
  ['exit_storm', 'vm-22', 20_000, 10, 20],
  ['exit_storm', 'vm-24', 80_000, 12, 6],
  ['exit_storm', 'vm-26', 200_000, 25, 1],
  ['drift_other_node', 'fast-9', 1, 20, 30],
  ['exit_storm', 'fast-6', 120_000, 40, 20],
  ['drift_widened', 'fast-7', 1, 55, 15],
  ['drift_widened', 'vm-20', 1, 60, 20],
  ['exit_storm', 'vm-28', 80_000, 70, 3],
  ['drift_widened', 'fast-8', 1, 80, 1],
  ['drift_shared_cpu', 'fast-6', 1, 80, 15],
  ['drift_shared_cpu', 'vm-30', 1, 100, 4],
  ['drift_other_node', 'fast-8', 1, 105, 25],
  ['polling_lost', 'fast-7', 1, 100, 30],
  ['halt_poll_waste', 'vm-32', 0.4, 120, 30],
  ['halt_poll_waste', 'vm-34', 0.1, 120, 20],
  ['halt_poll_waste', 'vm-38', 0.4, 130, 3],
  ['polling_lost', 'fast-9', 1, 145, 2],
  ['halt_poll_waste', 'vm-36', 0.02, 150, 30],
  ['polling_lost', 'fast-8', 1, 155, 12],
  ['vcpu_starved', 'fast-9', 2, 160, 3],
  ['vcpu_starved', 'fast-6', 1, 190, 20],
  ['vcpu_starved', 'fast-8', 6, 220, 15],
  ['exit_storm', 'fast-8', 500_000, 260, 10],
  ['exit_storm', 'fast-7', 150_000, 320, 12],
  ['polling_lost', 'fast-9', 1, 315, 30],
  ['drift_shared_cpu', 'fast-8', 1, 325, 10],
];
const OF_DISKS: readonly DiskRow[] = [
  ['disk_stall', 'nvme5n1', 1, 200, 1],
  ['disk_stall', 'nvme5n1', 1, 215, 10],
  ['disk_slow', 'nvme5n1', 500, 240, 20],
  ['disk_slow', 'nvme5n1', 20, 270, 10],
  ['disk_slow', 'nvme5n1', 2000, 295, 8],
];

/** `normal` with incidents of several kinds, sizes and durations, which must raise alerts. */
export function incidents(options: ScenarioOptions): ScenarioWithIncidents {
  const vms = fleet(options);
  const all = new Incidents(new Random(options.seed ^ 0x1ac1d));
  for (const [kind, vm, size, from, minutes] of OF_VMS)
    all.add(from, minutes, [{ kind, vm, size }], (on) => injectIntoVm(vms.host, kind, vm, size, on));
  for (const [kind, disk, size, from, minutes] of OF_DISKS) {
    const struck = onDisk(vms, disk).map((vm) => ({ kind, vm, size }));
    all.add(from, minutes, struck, (on) =>
      kind === 'disk_stall'
        ? vms.host.faults.stallDisk(disk, on)
        : vms.host.faults.slowDisk(disk, on ? size : 1),
    );
  }
  return { ...living(vms, options.seed, all.happenings), incidents: all.incidents };
}

function onDisk({ host }: Fleet, name: string): string[] {
  return host.vms
    .filter(({ disks }) => disks.some((disk) => disk.host.spec.name === name))
    .map(({ name }) => name);
}
