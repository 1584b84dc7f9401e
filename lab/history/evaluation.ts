import { mkdirSync, writeFileSync } from 'node:fs';
import { STAGES } from '../../exporter/metrics/stages.ts';
import type { Configuration } from '../simhost/calibration.ts';
import type { DiskSpec } from '../simhost/disk.ts';
import { SimulatedHost } from '../simhost/host.ts';
import type { Scenario, ScenarioOptions } from '../simhost/scenarios/scenario.ts';
import type { VmSpec } from '../simhost/vm.ts';

/** Minutes that `db` spends in each stage. */
const STAGE_MINUTES = 10;
export const EVALUATION_MINUTES = STAGE_MINUTES * STAGES.length;

export interface EvaluationOptions {
  /** Minutes that `db` spends in each stage: 10 if not given. */
  readonly stageMinutes?: number;
  /** Only `db` and `oltp`, which are measured. */
  readonly isAlone?: boolean;
}

/**
 * The paper's Table 1: the configurations of `oltp` on four SATA SSDs, and the names of their declared
 * phases.
 */
const DECLARED: readonly (readonly [Configuration, string])[] = [
  ['sata_data_plane', 'data plane'],
  ['sata_polling', 'exitless polling'],
  ['sata_polling_saving', 'exitless polling with CPU saving'],
];

const disk = (name: string, kind: DiskSpec['kind'], i: number): DiskSpec => ({
  name,
  kind,
  node: i % 2,
  hardwareQueues: kind === 'nvme' ? 16 : 1,
});
const nvmes = Array.from({ length: 5 }, (_, i) => disk(`nvme${i}n1`, 'nvme', i));
const satas = ['sda', 'sdb', 'sdc', 'sdd'].map((name) => disk(name, 'sata', 0));

/** VMs that have something else to show. */
const OTHERS: readonly VmSpec[] = [
  {
    name: 'web',
    configuration: 'original',
    disks: ['nvme1n1'],
    iops: 9000,
    writes: 0.3,
    vhostNet: true,
  },
  { name: 'kv', configuration: 'pinned_queues', disks: ['nvme2n1'], writes: 0.2 },
  { name: 'mail', configuration: 'affinity', disks: ['nvme3n1'], iops: 2500, vhostNet: true },
  { name: 'build', configuration: 'parallel_batching', disks: ['nvme4n1'], libvirt: true },
];

/**
 * The paper's evaluation on one host: `db` on an NVMe goes through the stages (Fig. 15), `oltp` on four SATA
 * SSDs goes through Table 1 (Fig. 10). Both are declared as phases. Other VMs have an exit storm (`web`),
 * drifts (`kv`), a CPU quota (`build`) and wasted halt polling (`mail`).
 * @param stateDirectory the exporter's, where phases are declared
 */
export function evaluation(
  stateDirectory: string,
  { stageMinutes = STAGE_MINUTES, isAlone = false }: EvaluationOptions = {},
): (options: ScenarioOptions) => Scenario {
  const minutes = stageMinutes * STAGES.length;
  return (options) => {
    const host = new SimulatedHost({
      ...options,
      cpus: 128,
      psi: true,
      cpufreq: true,
      disks: [...nvmes, ...satas],
      vms: [
        { name: 'db', configuration: 'original', disks: ['nvme0n1'], libvirt: true, vhostNet: true },
        { name: 'oltp', configuration: 'sata_data_plane', disks: satas.map(({ name }) => name) },
        ...(isAlone ? [] : OTHERS),
      ],
    });
    const phases: Record<string, { phase: string; since: string }> = {};
    // As `kvm-telemetry phase set` does.
    const declare = (vm: string, phase: string): void => {
      const at = ((options.startTime ?? 0) + host.time) * 1000;
      phases[vm] = { phase, since: new Date(at).toISOString() };
      mkdirSync(stateDirectory, { recursive: true });
      writeFileSync(`${stateDirectory}/phases.json`, JSON.stringify({ phases }));
    };
    const due: [number, () => void][] = [
      ...STAGES.map((stage, i): [number, () => void] => [
        i * stageMinutes,
        () => {
          if (i > 0) host.configure('db', stage);
          declare('db', stage);
        },
      ]),
      ...DECLARED.map(([configuration, phase], i): [number, () => void] => [
        Math.floor((i * minutes) / DECLARED.length),
        () => {
          if (i > 0) host.configure('oltp', configuration);
          declare('oltp', phase);
        },
      ]),
      ...(isAlone ? [] : eventsOn(host)),
    ];
    due.sort(([a], [b]) => a - b);
    const script = (): void => {
      for (let next = due[0]; next !== undefined && host.time >= next[0] * 60; next = due[0]) {
        due.shift();
        next[1]();
      }
    };
    return { host, script };
  };
}

function eventsOn({ faults }: SimulatedHost): [number, () => void][] {
  return [
    [12, () => faults.exitStorm('web', 80_000)],
    [16, () => faults.exitStorm('web', undefined)],
    [20, () => faults.drift('kv', 'shared_cpu')],
    [25, () => faults.restore('kv')],
    [27, () => faults.quota('build', 5)],
    [33, () => faults.quota('build', undefined)],
    [34, () => faults.drift('kv', 'other_node')],
    [39, () => faults.restore('kv')],
    [42, () => faults.wasteHaltPolls('mail', true)],
    [46, () => faults.wasteHaltPolls('mail', false)],
  ];
}
