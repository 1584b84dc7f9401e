import { attempt } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type Lockdown, readLockdown } from '../../probes/lockdown.ts';
import type { Assessment } from '../assessment/assessment.ts';
import type { Inventory } from '../inventory/inventory.ts';
import type { Feature } from '../model/features.ts';
import { missingFor, nextRule } from '../model/next-stage.ts';
import type { VmStage } from '../model/stage-reading.ts';
import type { Verdicts } from '../model/technique.ts';
import { visibilityOf } from '../model/visibility.ts';
import type { ScrapeResult } from '../scrape/scrape.ts';
import type { RemoteSources } from '../sources/remotes.ts';
import { type DaemonQuota, quotasOfDaemons } from './daemons.ts';
import { quotasOf } from './quotas.ts';
import { diagnose, type Report } from './sources.ts';
import { reportOn, type VmReport } from './vm.ts';

export interface DoctorDependencies {
  readonly host: Host;
  readonly inventory: Pick<Inventory, 'vms' | 'topology' | 'disks'>;
  readonly assessment: Pick<Assessment, 'affinity' | 'stages' | 'planFor'>;
  readonly remotes: Pick<RemoteSources, 'lastOf'>;
}

/** Evaluates the results of the daemon's reads. It reads only the lockdown state itself, and it changes nothing. */
export class Doctor {
  constructor(private readonly dependencies: DoctorDependencies) {}

  /** Evaluates the sources of a collection. */
  diagnose(result: ScrapeResult): Report {
    const { host, inventory } = this.dependencies;
    const isRoot = process.geteuid?.() === 0;
    return diagnose(result, inventory.vms.length, { isRoot, lockdown: lockdownOf(host) });
  }

  /** The CPU quotas of the daemons that run beside this command. */
  async quotasOfDaemons(stateDirectory: string): Promise<DaemonQuota[]> {
    const { host } = this.dependencies;
    return quotasOfDaemons(
      host,
      attempt(() => host.stat(stateDirectory).uid),
    );
  }

  /** By label: the last verdicts on the techniques of each VM. */
  verdicts(): Map<string, Verdicts> {
    const { inventory, assessment } = this.dependencies;
    const found = new Map<string, Verdicts>();
    for (const vm of inventory.vms) {
      const stage = assessment.stages.of(vm);
      if (stage !== undefined) found.set(vm.label, stage.verdicts);
    }
    return found;
  }

  /**
   * Report on one VM from the last samples and scans. @returns undefined if the VM does not exist or has not
   * been evaluated
   */
  async reportOn(label: string): Promise<VmReport | undefined> {
    const { host, inventory, assessment, remotes } = this.dependencies;
    const { vms, topology, disks } = inventory;
    const vm = vms.find((each) => each.label === label);
    if (vm === undefined || topology === undefined) return undefined;
    const affinity = assessment.affinity.of(vm);
    const stage = assessment.stages.of(vm);
    if (affinity === undefined || stage === undefined) return undefined;
    const plan = await assessment.planFor(vm, (each) => goalsOf(assessment.stages.of(each)));
    if (plan === undefined) return undefined;
    const known = remotes.lastOf(vm);
    return reportOn({
      vm,
      affinity,
      stage,
      topology,
      disks,
      statistics: known.statistics,
      visibility: visibilityOf(vm, known.kernel),
      plan,
      cpuQuotas: quotasOf(host, vm),
    });
  }
}

/** The missing features for the VM's next stage. */
function goalsOf(stage: VmStage | undefined): readonly Feature[] {
  const rule = stage && nextRule(stage);
  return stage === undefined || rule === undefined ? [] : missingFor(rule, stage.features);
}

function lockdownOf(host: Host): Lockdown {
  try {
    return readLockdown(host);
  } catch {
    return 'unknown';
  }
}
