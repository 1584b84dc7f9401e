import { PERIODS_PER_SECOND, type SimCgroup, type SimPressure } from '../cgroup.ts';
import type { SimVm } from '../vm.ts';
import type { Tree } from './tree.ts';

/** Folder of the scope or the service in which the VM runs. */
export function folderOf(cgroup: string): string {
  return `sys/fs/cgroup${cgroup.replace(/\/libvirt$/, '')}`;
}

/** Files of a VM's cgroup that change. Those of cgroups without a quota do not. */
export function writeCgroup(tree: Tree, folder: string, { cgroup }: SimVm, hasPressure: boolean): void {
  writeQuota(tree, folder, cgroup);
  if (!hasPressure) return;
  const { pressure: cpu, memoryPressure: memory, ioPressure: io } = cgroup;
  writePressure(tree, (resource) => `${folder}/${resource}.pressure`, { cpu, memory, io });
}

/** A cgroup that never had a quota keeps the files that it started with. */
export function writeQuota(tree: Tree, folder: string, cgroup: SimCgroup): void {
  if (cgroup.quota === undefined && cgroup.periods.value === 0) return;
  const period = 1e6 / PERIODS_PER_SECOND;
  const quota = cgroup.quota === undefined ? 'max' : String(Math.round(cgroup.quota * period));
  tree.put(`${folder}/cpu.max`, `${quota} ${period}\n`, 0o644);
  const { periods, throttledPeriods, throttledUsec } = cgroup;
  tree.put(
    `${folder}/cpu.stat`,
    `usage_usec 0\nuser_usec 0\nsystem_usec 0\nnr_periods ${periods.value}\nnr_throttled ${throttledPeriods.value}\nthrottled_usec ${throttledUsec.value}\n`,
    0o444,
  );
}

/** A resource that is missing never made a task wait. */
export function writePressure(
  tree: Tree,
  pathOf: (resource: string) => string,
  pressures: Readonly<Partial<Record<string, SimPressure>>>,
): void {
  for (const resource of ['cpu', 'io', 'memory']) {
    const line = (kind: 'some' | 'full'): string =>
      `${kind} avg10=0.00 avg60=0.00 avg300=0.00 total=${pressures[resource]?.[kind].value ?? 0}\n`;
    tree.put(pathOf(resource), line('some') + line('full'), 0o644);
  }
}
