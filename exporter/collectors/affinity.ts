import type { CpuTopology } from '../../probes/sys-cpu.ts';
import type { Families } from '../metrics/families.ts';
import type { VmAffinity } from '../model/affinity-reading.ts';
import { DRIFT_KINDS, type DriftKind } from '../model/drift.ts';
import type { VmStage } from '../model/stage-reading.ts';
import type { Collector } from './collector.ts';
import { addTechniques } from './techniques.ts';

/** Expected and observed affinity of threads, and the stage of each VM. Computed between scrapes. */
export function affinity(): Collector {
  return {
    name: 'affinity',
    async collect({ vms, families, affinity: reading, stages, topology, yieldIfDue }, report) {
      const kinds = possibleKinds(topology);
      for (const vm of vms) {
        await yieldIfDue();
        const where = reading.of(vm);
        if (where !== undefined) addAffinity(families, vm.label, where, kinds);
        const stage = stages.of(vm);
        if (stage === undefined) continue;
        addStage(families, vm.label, stage);
        addTechniques(families, vm.label, stage);
      }
      for (const problem of reading.problems) report(problem);
    },
  };
}

interface PossibleKinds {
  readonly ofIoPath: readonly DriftKind[];
  /** The emulator may share CPUs with other threads and is not sampled. */
  readonly ofEmulator: readonly DriftKind[];
}

/** Omits series that can never be 1: cross_node on a host with one node, shared_core on one without SMT. */
function possibleKinds(topology: CpuTopology | undefined): PossibleKinds {
  const hasSmt = topology?.cpus.some(({ siblings }) => siblings.length > 1) === true;
  const hasNodes = (topology?.nodes.length ?? 0) > 1;
  const ofIoPath = DRIFT_KINDS.filter(
    (kind) => (kind !== 'shared_core' || hasSmt) && (kind !== 'cross_node' || hasNodes),
  );
  return { ofIoPath, ofEmulator: ofIoPath.filter((kind) => !/^shared|^migrating/.test(kind)) };
}

function addAffinity(
  families: Families,
  vm: string,
  { observed, drifts, memoryLocal, completions }: VmAffinity,
  kinds: PossibleKinds,
): void {
  const drifting = new Set(drifts.map(({ thread, kind }) => `${kind} ${thread}`));
  for (const { label, role, expectation } of observed.threads) {
    if (expectation === undefined) continue;
    for (const kind of role === 'emulator' ? kinds.ofEmulator : kinds.ofIoPath) {
      const value = drifting.has(`${kind} ${label}`) ? 1 : 0;
      families.add('kvm_thread_affinity_drift', { vm, thread: label, kind }, value);
    }
  }
  const labels = families.block({ vm });
  const threads = new Set(drifts.map(({ thread }) => thread));
  families.add('kvm_vm_affinity_drift_threads', labels, threads.size);
  if (memoryLocal !== undefined) families.add('kvm_vm_numa_local_ratio', labels, memoryLocal);
  for (const scope of ['cpu', 'node'] as const) {
    const ratio = completions[scope];
    if (ratio === undefined) continue;
    families.add('kvm_vm_io_completion_local_ratio', { vm, scope }, ratio);
  }
}

function addStage(families: Families, vm: string, stage: VmStage): void {
  const labels = families.block({ vm });
  for (const [feature, value] of stage.features) {
    families.add('kvm_vm_feature', { vm, feature }, value);
  }
  if (stage.label !== undefined)
    families.add('kvm_vm_stage_info', { vm, stage: stage.label, source: 'detected' }, 1);
  if (stage.declared !== undefined) {
    families.add('kvm_vm_stage_info', { vm, stage: stage.declared, source: 'declared' }, 1);
  }
  families.add('kvm_vm_stage_changes_total', labels, stage.stageChanges);
  families.add('kvm_vm_phase_changes_total', labels, stage.phaseChanges);
  if (stage.phase !== undefined) {
    families.add('kvm_vm_phase_info', { vm, phase: stage.phase }, 1);
  }
  for (const { device, locality, fairness } of stage.devices) {
    const block = families.block({ vm, device });
    if (locality !== undefined) families.add('kvm_vm_queue_locality_ratio', block, locality);
    if (fairness !== undefined) families.add('kvm_vm_queue_fairness_ratio', block, fairness);
  }
}
