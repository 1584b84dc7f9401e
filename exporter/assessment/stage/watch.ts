import type { QmpBlock } from '../../../probes/qmp-block.ts';
import { devicePath } from '../../../probes/qmp-qom.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { STAGES, type Stage } from '../../metrics/stages.ts';
import type { Affinity, VmAffinity } from '../../model/affinity-reading.ts';
import { featuresOf } from '../../model/features.ts';
import { isSharedByQueues } from '../../model/io-path.ts';
import { type Kicks, localityOf, queueFairness } from '../../model/locality.ts';
import { placeOf, queuesBeside } from '../../model/notify-addresses.ts';
import { stageLabel, stageOf, statesOf, techniquesOf } from '../../model/stage.ts';
import type { DeviceQueues, Stages, VmStage } from '../../model/stage-reading.ts';
import { visibilityOf } from '../../model/visibility.ts';
import type { Vm } from '../../model/vm.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import type { Facts } from '../../sources/qmp/facts.ts';
import type { Known } from '../../sources/remotes.ts';
import { judgeTechniques, settingsInWords } from '../technique/judge.ts';
import { MIN_IOS } from '../technique/measured.ts';
import type { TechniqueWatch } from '../technique/watch.ts';
import type { Moment } from './moment.ts';
import type { Phases } from './phases.ts';
import { Window } from './window.ts';

/** Twelve rounds. A monitor that works responds within one. */
const STALE_MS = 120_000;

export interface StageDependencies {
  readonly phases: Phases;
  readonly techniques: TechniqueWatch;
  vms(): readonly Vm[];
  topology(): CpuTopology | undefined;
  affinity(): Affinity;
  lastOf(vm: Vm): Known;
  /** Called when the declared phase has changed. `from` is undefined for a phase that begins. */
  onPhase(vm: Vm, from: string | undefined, to: string | undefined): void;
}

interface Judged {
  readonly window: Window;
  /** The configuration of the techniques, in words. */
  readonly settings: string;
  readonly reading: VmStage;
}

/** Judges the techniques of each VM and its stage, several times a minute. */
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

  /** @param moments by VM key */
  async judge(moments: ReadonlyMap<string, Moment>): Promise<void> {
    const { phases, techniques, vms, topology } = this.dependencies;
    const known = topology();
    if (known === undefined) return;
    phases.reload();
    const judged = new Map<string, Judged>();
    for (const vm of vms()) {
      // Wait until the VM's threads have been checked: missing facts would look like a change later.
      const affinity = this.dependencies.affinity().of(vm);
      if (affinity !== undefined)
        judged.set(vm.key, this.#judgeOne(vm, affinity, moments.get(vm.key), known));
    }
    this.#judged = judged;
    await techniques.endRound(new Set(vms().map(({ key }) => key)));
  }

  #judgeOne(vm: Vm, affinity: VmAffinity, moment: Moment | undefined, topology: CpuTopology): Judged {
    const { lastOf, phases, techniques, onPhase } = this.dependencies;
    const before = this.#judged.get(vm.key);
    const known = lastOf(vm);
    const { statistics, ageMs = 0 } = known;
    const isStale = ageMs > STALE_MS;
    const { threads, unpinned, memory, deviceNodes } = affinity.observed;
    const { devices, libvirtDisks } = vm;
    const features = featuresOf({
      topology,
      threads,
      unpinned,
      memory,
      deviceNodes,
      devices,
      libvirtDisks,
      statistics,
      isStale,
      direct: directOf(known.facts),
    });
    const window = before?.window ?? new Window();
    const growth = moment === undefined ? undefined : window.add(moment);
    const phase = phases.of(vm);
    const declared = stageNamed(phase);
    const facts = {
      vm,
      visibility: visibilityOf(vm, known.kernel),
      affinity,
      topology,
      features,
      statistics,
      isStale,
      facts: known.facts,
      phase,
      declared,
      nameAt: ({ address, event }: KickCount) => this.deviceAt(vm, address, event === 'kvm_pio'),
      isTraced: moment?.trace !== undefined,
    };
    const settings = settingsInWords(facts).join('\n');
    if (before?.settings !== settings) window.cut();
    const judgements = judgeTechniques({
      ...facts,
      growth: growth === undefined ? undefined : window.latest(MIN_IOS),
    });
    const verdicts = techniques.judge(vm, judgements);
    const states = statesOf(verdicts);
    const label = stageLabel(states);
    const last = before?.reading;
    const stageChanged = last?.label !== undefined && label !== undefined && last.label !== label;
    const phaseChanged = last !== undefined && last.phase !== phase;
    if (phaseChanged) onPhase(vm, last.phase, phase);
    return {
      window,
      settings,
      reading: {
        features,
        verdicts,
        label,
        declared,
        phase,
        detected: stageOf(states),
        contradicted: (declared === undefined ? [] : techniquesOf(declared)).filter(
          (technique) => states[technique] !== 'in_force' && states[technique] !== 'unknown',
        ),
        stageChanges: (last?.stageChanges ?? 0) + (stageChanged ? 1 : 0),
        phaseChanges: (last?.phaseChanges ?? 0) + (phaseChanged ? 1 : 0),
        devices: growth === undefined ? [] : this.#devices(vm, growth.queues),
      },
    };
  }

  #devices(vm: Vm, kicks: readonly KickCount[]): DeviceQueues[] {
    const byDevice = new Map<string, KickCount[]>();
    for (const kick of kicks) {
      const isPort = kick.event === 'kvm_pio';
      const device = this.deviceAt(vm, kick.address, isPort) ?? `0x${placeOf(kick).toString(16)}`;
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
        fairness: queueFairness(counts, this.#queueCount(vm, device, own)),
      };
    });
  }

  /**
   * From QEMU's monitor, else from the command line, else the notify addresses beside those of the kicks. The monitor's last
   * statistics may be late or missing.
   */
  #queueCount(vm: Vm, device: string, kicks: readonly KickCount[]): number | undefined {
    const { facts, kernel } = this.dependencies.lastOf(vm);
    const known = facts?.queues.get(devicePath(device) ?? '')?.queues;
    return (
      known ??
      vm.devices?.storage.find(({ id }) => id === device)?.queues ??
      queuesBeside(kicks, kernel?.notifyAddresses)
    );
  }
}

/** cache.direct of each paravirtual disk. */
function directOf(facts: Facts | undefined): boolean[] | undefined {
  return facts?.blocks.flatMap((block) => (isParavirtual(facts, block) ? (block.direct ?? []) : []));
}

/** IDE disks and CD-ROM drives are outside the methodology. */
function isParavirtual({ queues }: Facts, { qdev, removable }: QmpBlock): boolean {
  const served = queues.get(devicePath(qdev) ?? '');
  return !removable && served !== undefined && (served.queues !== undefined || served.hasIothread);
}

function kicksOf({ address, thread, count }: KickCount): Kicks {
  return { queue: String(address), vcpu: thread, count };
}

/** The phase `exitless-polling v2` names the stage exitless_polling. */
function stageNamed(phase: string | undefined): Stage | undefined {
  const name = phase?.toLowerCase().replace(/[^a-z]+/g, '_');
  if (name === undefined) return undefined;
  return STAGES.find((stage) => name === stage || name.startsWith(`${stage}_`));
}
