import { PAGE_SIZE } from '../../../kernel/units.ts';
import type { QmpBlock } from '../../../probes/qmp-block.ts';
import { devicePath } from '../../../probes/qmp-qom.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { STAGES, type Stage } from '../../metrics/stages.ts';
import type { Affinity } from '../../model/affinity-reading.ts';
import { featuresOf } from '../../model/features.ts';
import { isSharedByQueues } from '../../model/io-path.ts';
import { type Kicks, localityOf, queueFairness } from '../../model/locality.ts';
import type { ObservedVm } from '../../model/observed.ts';
import { areFew, type Measured, stageOf } from '../../model/stage.ts';
import type { DeviceQueues, Stages, VmStage } from '../../model/stage-reading.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStatistics } from '../../model/vm-statistics.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import type { Facts } from '../../sources/qmp/facts.ts';
import type { Evidence } from './evidence.ts';
import type { Phases } from './phases.ts';
import { type Growth, Window } from './window.ts';

export interface StageDependencies {
  readonly phases: Phases;
  vms(): readonly Vm[];
  topology(): CpuTopology | undefined;
  affinity(): Affinity;
  lastOf(vm: Vm): { statistics: VmStatistics | undefined; facts: Facts | undefined };
  /** Called when a stage or phase has changed. `from` is undefined for a phase that begins. */
  onChange(vm: Vm, what: 'stage' | 'phase', from: string | undefined, to: string | undefined): void;
}

interface Judged {
  readonly window: Window;
  /** The last measurements. They stay valid while there are too few I/Os to measure. */
  readonly measured: Measured;
  readonly reading: VmStage;
  /** The stage of the last round. It becomes the detected stage if the next round confirms it. */
  readonly candidate: Stage;
  /**
   * False until the first measurement, if the VM is traced: its correction of the stage is not a stage
   * change.
   */
  readonly isFirm: boolean;
}

/**
 * With fewer I/Os per minute the ratios are not meaningful. Of a sample that many must be in it: then 0.5 kicks an I/O are known to
 * 0.08.
 */
const MIN_IOS = 100;

/** Determines the stage of each VM, several times a minute. */
export class StageWatch implements Stages {
  #judged: ReadonlyMap<string, Judged> = new Map();

  constructor(private readonly dependencies: StageDependencies) {}

  of({ key }: Vm): VmStage | undefined {
    return this.#judged.get(key)?.reading;
  }

  deviceAt(vm: Vm, address: number, isPort: boolean): string | undefined {
    const { facts } = this.dependencies.lastOf(vm);
    return facts?.pci.find(({ regions }) =>
      regions.some(
        (region) =>
          region.isPort === isPort && region.address <= address && address < region.address + region.size,
      ),
    )?.name;
  }

  /** @param evidence by VM key, read at one moment */
  judge(evidence: ReadonlyMap<string, Evidence>): void {
    const { phases, vms, topology } = this.dependencies;
    const known = topology();
    if (known === undefined) return;
    phases.reload();
    const judged = new Map<string, Judged>();
    for (const vm of vms()) {
      // Wait until the VM's threads have been checked: missing facts would look like a stage change later.
      const seen = this.dependencies.affinity().of(vm);
      if (seen !== undefined)
        judged.set(vm.key, this.#judgeOne(vm, seen.observed, evidence.get(vm.key), known));
    }
    this.#judged = judged;
  }

  #judgeOne(vm: Vm, observed: ObservedVm, evidence: Evidence | undefined, topology: CpuTopology): Judged {
    const { lastOf, phases } = this.dependencies;
    const before = this.#judged.get(vm.key);
    const { statistics, facts } = lastOf(vm);
    const features = featuresOf({
      topology,
      threads: observed.threads,
      unpinned: observed.unpinned,
      memory: observed.memory,
      deviceNodes: observed.deviceNodes,
      devices: vm.devices,
      libvirtDisks: vm.libvirtDisks,
      statistics,
      direct: facts?.blocks.flatMap((block) => (isParavirtual(facts, block) ? (block.direct ?? []) : [])),
    });
    const window = before?.window ?? new Window();
    const growth = evidence === undefined ? undefined : window.add(evidence);
    const isTraced = evidence?.trace !== undefined;
    const measured = isTraced ? (measuredOf(growth, before?.measured) ?? before?.measured ?? {}) : {};
    const stage = stageOf(features, measured);
    const phase = phases.of(vm);
    const isCorrection = before?.isFirm !== true;
    const detected = isCorrection || before.candidate === stage ? stage : before.reading.detected;
    const stageChanged = !isCorrection && before.reading.detected !== detected;
    const phaseChanged = before !== undefined && before.reading.phase !== phase;
    if (stageChanged) this.dependencies.onChange(vm, 'stage', before.reading.detected, detected);
    if (phaseChanged) this.dependencies.onChange(vm, 'phase', before.reading.phase, phase);
    return {
      window,
      measured,
      candidate: stage,
      isFirm: growth !== undefined || !isTraced,
      reading: {
        features,
        detected,
        declared: stageNamed(phase),
        phase,
        stageChanges: (before?.reading.stageChanges ?? 0) + (stageChanged ? 1 : 0),
        phaseChanges: (before?.reading.phaseChanges ?? 0) + (phaseChanged ? 1 : 0),
        devices: growth === undefined ? [] : this.#devices(vm, growth.queues),
      },
    };
  }

  #devices(vm: Vm, kicks: readonly KickCount[]): DeviceQueues[] {
    const byDevice = new Map<string, KickCount[]>();
    for (const kick of kicks) {
      const isPort = kick.event === 'kvm_pio';
      const page = `0x${(isPort ? kick.address : kick.address - (kick.address % PAGE_SIZE)).toString(16)}`;
      const device = this.deviceAt(vm, kick.address, isPort) ?? page;
      byDevice.set(device, [...(byDevice.get(device) ?? []), kick]);
    }
    return [...byDevice].map(([device, own]) => {
      const { share, queues } = localityOf(own.map(kicksOf));
      const notified = own.filter((kick) => !isSharedByQueues(kick));
      const used = new Set(notified.map(({ address }) => String(address)));
      const counts = [...used].map((queue) => queues.get(queue)?.kicks ?? 0);
      return {
        device,
        locality: share,
        fairness: queueFairness(counts, this.#queueCount(vm, device)),
      };
    });
  }

  /** From QEMU's monitor, else from the command line. The monitor's last statistics may be late or missing. */
  #queueCount(vm: Vm, device: string): number | undefined {
    const { facts } = this.dependencies.lastOf(vm);
    const known = facts?.queues.get(devicePath(device) ?? '')?.queues;
    return known ?? vm.devices?.storage.find(({ id }) => id === device)?.queues;
  }
}

/** IDE disks and CD-ROM drives are outside the methodology. */
function isParavirtual({ queues }: Facts, { qdev, removable }: QmpBlock): boolean {
  const served = queues.get(devicePath(qdev) ?? '');
  return !removable && served !== undefined && (served.queues !== undefined || served.hasIothread);
}

function kicksOf({ address, thread, count }: KickCount): Kicks {
  return { queue: String(address), vcpu: thread, count };
}

/** @returns undefined if there were too few I/Os: the last measurements stay valid */
function measuredOf(growth: Growth | undefined, before: Measured | undefined): Measured | undefined {
  if (growth?.ios === undefined || growth.ios < MIN_IOS * growth.weight) return undefined;
  const { ios, kicks, deviceExits = 0, interrupts, queues } = growth;
  const isUnclear = kicks !== undefined && areFew(kicks / ios) && !areFew((kicks + deviceExits) / ios);
  return {
    // The exits to user space may include notifications, so whether there were few kicks is unknown.
    kicksPerIo: kicks === undefined ? undefined : isUnclear ? before?.kicksPerIo : kicks / ios,
    injectionsPerIo: interrupts === undefined ? undefined : interrupts / ios,
    iosPerKick: kicks === undefined || kicks === 0 ? undefined : isUnclear ? before?.iosPerKick : ios / kicks,
    // If queues share an address, the kicks of several vCPUs do not show which queue they used.
    queueLocality: localityOf(queues.filter((kick) => !isSharedByQueues(kick)).map(kicksOf)).share,
  };
}

/** The phase `exitless-polling v2` names the stage exitless_polling. */
function stageNamed(phase: string | undefined): Stage | undefined {
  const name = phase?.toLowerCase().replace(/[^a-z]+/g, '_');
  if (name === undefined) return undefined;
  return STAGES.find((stage) => name === stage || name.startsWith(`${stage}_`));
}
