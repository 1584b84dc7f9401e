import { USEC_PER_SEC } from '../../kernel/units.ts';
import { ifThere, sourceError } from '../../probes/errors.ts';
import {
  PRESSURE_RESOURCES,
  type Pressure,
  readCgroupPressure,
  readHostPressure,
} from '../../probes/pressure.ts';
import { CounterSets } from '../model/continued-counter.ts';
import type { Collector, Report } from './collector.ts';
import { Turns } from './turns.ts';
import { type CgroupsOfVms, sharedFolders } from './vm-cgroups.ts';

/** Opening a missing file costs more than a read. A file appears only after a write to `cgroup.pressure`. */
const RETRY_EVERY = 10;

/** Pressure stall information of the host and of the VMs' cgroups. */
export function pressure(cgroups: CgroupsOfVms): Collector {
  const counters = new CounterSets();
  /** Missing files of cgroups. */
  let missing: ReadonlySet<string> = new Set();
  const turns = new Turns(RETRY_EVERY);

  return {
    name: 'pressure',
    async collect(collection, report) {
      const { host, families, vms } = collection;
      for (const resource of PRESSURE_RESOURCES) {
        const read = (): Pressure => readHostPressure(host, resource);
        for (const [kind, stalled] of kinds(whereThere(`${host.roots.procfs}/pressure`, report, read)))
          families.add('kvm_host_pressure_seconds_total', { resource, kind }, stalled / USEC_PER_SEC);
      }
      const known = cgroups.of(collection);
      const shared = sharedFolders([...known.values()].map(({ unified }) => unified));
      counters.keep(known.keys());
      const stillMissing = new Set<string>();
      turns.begin();
      for (const [i, { key, label }] of vms.entries()) {
        await collection.yieldIfDue();
        const folder = known.get(key)?.unified;
        if (folder === undefined || shared.has(folder)) continue;
        for (const resource of PRESSURE_RESOURCES) {
          const file = `${folder} ${resource}`;
          const read = (): Pressure => readCgroupPressure(host, folder, resource);
          const found =
            missing.has(file) && !turns.isTurnOf(i) ? NOT_THERE : whereThere(folder, report, read);
          if (found === NOT_THERE) stillMissing.add(file);
          for (const [kind, stalled] of kinds(found)) {
            const usec = counters.of(key).one(`${resource} ${kind}`, folder, stalled);
            const labels = { vm: label, resource, kind };
            families.add('kvm_vm_pressure_seconds_total', labels, usec / USEC_PER_SEC);
          }
        }
      }
      missing = stillMissing;
    },
  };
}

/** undefined if the kernel has no PSI (absent), or turned it off by psi=0 (EOPNOTSUPP). */
const NOT_THERE: Pressure = { some: undefined, full: undefined };

/** undefined after an error. */
function whereThere(path: string, report: Report, read: () => Pressure): Pressure | undefined {
  try {
    return ifThere(read) ?? NOT_THERE;
  } catch (error) {
    const problem = sourceError(error, path);
    if (problem.code === 'EOPNOTSUPP') return NOT_THERE;
    report(problem);
    return undefined;
  }
}

function kinds({ some, full }: Partial<Pressure> = {}): [kind: 'some' | 'full', usec: number][] {
  const found: [kind: 'some' | 'full', usec: number][] = [];
  if (some !== undefined) found.push(['some', some]);
  if (full !== undefined) found.push(['full', full]);
  return found;
}
