import { formatCpuList } from '../../kernel/cpu-list.ts';
import type { Host } from '../../probes/host.ts';
import type { Disk } from '../../probes/sys-block.ts';
import { readBlockQueue, readHardwareQueues } from '../../probes/sys-block-queue.ts';
import type { Families } from '../metrics/families.ts';

/** CPUs by hardware queue, as text. */
type HardwareQueues = readonly (readonly [queue: number, cpus: string])[];

interface Settings {
  readonly scheduler: string | undefined;
  readonly writeCache: string | undefined;
  readonly rotational: boolean | undefined;
  readonly node: number | undefined;
  readonly requests: number | undefined;
  readonly poll: boolean | undefined;
  readonly hardwareQueues: HardwareQueues | undefined;
}

/** Settings of a disk, or of one path of a multipath disk, which has no queues of its own. */
export interface CarrierSettings {
  readonly name: string;
  readonly controller: string | undefined;
  readonly settings: Settings;
}

export function readSettings(host: Host, { carriers }: Disk): CarrierSettings[] {
  return carriers.map(({ name, controller, node }) => {
    const { scheduler, writeCache, rotational, requests, poll } = readBlockQueue(host, name);
    const hardwareQueues = readHardwareQueues(host, name).map(
      ({ queue, cpus }) => [queue, formatCpuList(cpus)] as const,
    );
    return {
      name,
      controller,
      settings: { scheduler, writeCache, rotational, node, requests, poll, hardwareQueues },
    };
  });
}

/** A setting in which the paths differ has one series per path, with the path's name as device. */
export function addSettings(families: Families, disk: Disk, carriers: readonly CarrierSettings[]): void {
  const { common, differing } = compared(carriers.map(({ settings }) => settings));
  addInfo(families, disk.name, disk.controllers.join(','), disk.physical, common);
  addGauges(families, disk.name, common);
  for (const { name, controller, settings } of carriers) {
    const own = only(settings, differing);
    if (['scheduler', 'writeCache', 'rotational'].some((field) => field in own))
      addInfo(families, name, controller ?? '', disk.physical, own);
    addGauges(families, name, own);
  }
}

/** The settings that all paths share, and the names of the others. */
function compared(all: readonly Settings[]): { common: Partial<Settings>; differing: ReadonlySet<string> } {
  const [first, ...others] = all;
  if (first === undefined) return { common: {}, differing: new Set() };
  const differing = new Set(
    Object.entries(first).flatMap(([field, value]) => {
      const text = JSON.stringify(value);
      const isCommon = others.every((other) => JSON.stringify(other[field as keyof Settings]) === text);
      return isCommon ? [] : [field];
    }),
  );
  const common = Object.fromEntries(Object.entries(first).filter(([field]) => !differing.has(field)));
  return { common, differing };
}

function only(settings: Settings, fields: ReadonlySet<string>): Partial<Settings> {
  return Object.fromEntries(Object.entries(settings).filter(([field]) => fields.has(field)));
}

function addInfo(
  families: Families,
  device: string,
  controller: string,
  physical: boolean,
  { scheduler, writeCache, rotational }: Partial<Settings>,
): void {
  const labels = families.block({
    device,
    controller,
    physical,
    scheduler,
    write_cache: writeCache,
    rotational,
  });
  families.add('kvm_block_info', labels, 1);
}

function addGauges(
  families: Families,
  device: string,
  { node, requests, poll, hardwareQueues }: Partial<Settings>,
): void {
  const labels = families.block({ device });
  if (node !== undefined) families.add('kvm_block_numa_node', labels, node);
  if (requests !== undefined) families.add('kvm_block_queue_requests', labels, requests);
  if (poll !== undefined) families.add('kvm_block_queue_io_poll', labels, Number(poll));
  if (hardwareQueues === undefined) return;
  families.add('kvm_block_hardware_queues', labels, hardwareQueues.length);
  for (const [queue, cpus] of hardwareQueues) {
    families.add('kvm_block_hardware_queue_info', { device, queue, cpus }, 1);
  }
}
