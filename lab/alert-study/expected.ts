import { secondsOf } from '../../alerts/durations.ts';
import * as thresholds from '../../alerts/thresholds.ts';
import { STAGES } from '../../exporter/metrics/stages.ts';
import type { Technique } from '../../exporter/metrics/techniques.ts';
import { CALIBRATION, type Configuration, DEVICE_SECONDS, PAPER_VCPUS } from '../simhost/calibration.ts';
import type { Incident } from '../simhost/scenarios/incident.ts';
import { EXIT_NS } from '../simhost/vcpu.ts';

const { WINDOW, SAMPLED_WINDOW } = thresholds;

export type Unfit = 'too small' | 'too young';

/**
 * An alert that an incident must raise, and how soon after its start. After the incident the alert may fire
 * as long as its keepFiringFor.
 */
export interface Expected {
  readonly alert: string;
  /** Label of KvmTechniqueLost. */
  readonly technique?: Technique;
  readonly within: number;
  /** Whether the incident stays below a threshold however long it lasts. */
  readonly unfit?: (incident: Incident) => Unfit | false;
}

const after = (...durations: readonly string[]): number =>
  durations.reduce((sum, duration) => sum + secondsOf(duration), 0);

/** Load of the fleet's busy VMs, as a share of the calibrated load. */
const LOAD = 0.85;

/**
 * Exits per second and vCPU that a busy VM has left before it exceeds the allowance for its I/O
 * (docs/decisions/0014).
 */
function headroomOf(configuration: Configuration): number {
  const { iops, kicksPerIo, interruptsPerIo } = CALIBRATION[configuration];
  // Each interrupt has an injection and an EOI.
  const perIo = kicksPerIo + 2 * interruptsPerIo;
  const allowed = Math.min(thresholds.EXITS_PER_IO, thresholds.EXITS_PER_PATH_EVENT * perIo);
  return ((allowed - perIo) * iops * LOAD) / PAPER_VCPUS;
}

const VCPUS_OF_QUIET = 4;

/** Queues and techniques are judged over a minute, every ten seconds. */
const JUDGED = '70s';

function lost(technique: Technique, unfit: Expected['unfit'] = () => false): Expected {
  const within = after(JUDGED, thresholds.techniqueLost.for);
  return { alert: 'KvmTechniqueLost', technique, within, unfit };
}

/** The first alert of each list is the one that names the incident. */
export const EXPECTED: Readonly<Record<Incident['kind'], readonly Expected[]>> = {
  exit_storm: [
    {
      alert: 'KvmExitStorm',
      within: after(WINDOW, thresholds.exitStorm.for),
      unfit: ({ vm, size }) => {
        const [kind, number] = vm.split('-');
        const configuration = STAGES[Number(number) % STAGES.length] ?? 'original';
        const excess =
          kind === 'fast' ? size / PAPER_VCPUS - headroomOf(configuration) : size / VCPUS_OF_QUIET;
        return excess < thresholds.exitStorm.perVcpu && 'too small';
      },
    },
  ],
  storm_of_its_day: [
    {
      alert: 'KvmExitStormAgainstBaseline',
      within: after(WINDOW, thresholds.exitStormAgainstBaseline.for),
      unfit: ({ size, usual }) => {
        const { minPerVcpu, factor } = thresholds.exitStormAgainstBaseline;
        if (usual === undefined) return 'too young';
        return (size / VCPUS_OF_QUIET < minPerVcpu || size < factor * usual) && 'too small';
      },
    },
  ],
  exits_slow: [
    {
      alert: 'KvmExitLatencyHigh',
      within: after(SAMPLED_WINDOW, thresholds.exitLatency.for),
      // The slowest exit that is frequent enough in a guest without I/O is an EPT violation.
      unfit: ({ size }) => size * EXIT_NS.EPT_VIOLATION < thresholds.exitLatency.p99 * 1e9 && 'too small',
    },
  ],
  one_queue: [
    {
      alert: 'KvmQueueImbalance',
      within: after(JUDGED, thresholds.queueImbalance.for),
      unfit: ({ usual = 0 }) => usual < thresholds.queueImbalance.minIops && 'too small',
    },
    // With fewer I/Os the pollers sleep: 1 s / poll-max-ns.
    lost('parallel_batching', ({ usual = 0 }) => usual < 30_518 && 'too small'),
  ],
  polling_lost: [
    { alert: 'KvmPollingRegressed', within: after(WINDOW, thresholds.pollingRegressed.for) },
    lost('exitless_polling'),
  ],
  halt_poll_waste: [
    {
      alert: 'KvmHaltPollWaste',
      within: after(WINDOW, thresholds.haltPollWaste.for),
      unfit: ({ size }) => size < thresholds.haltPollWaste.perVcpu && 'too small',
    },
  ],
  vcpu_starved: [
    {
      alert: 'KvmVcpuStarved',
      within: after(WINDOW, thresholds.vcpuStarved.for),
      // One of six CPUs: the scheduler gives a vCPU that is a third busy nearly all the time that it needs.
      unfit: ({ size }) => size < 2 && 'too small',
    },
  ],
  drift_widened: [
    { alert: 'KvmAffinityDrift', within: after(thresholds.affinityDrift.for) },
    lost('affinity'),
  ],
  drift_shared_cpu: [
    { alert: 'KvmThreadsShareCpu', within: after(thresholds.threadsShareCpu.for) },
    lost('affinity'),
  ],
  drift_other_node: [
    { alert: 'KvmCrossNodeIo', within: after(thresholds.crossNodeIo.for) },
    lost('affinity'),
  ],
  disk_stall: [
    { alert: 'KvmIoStalled', within: after(thresholds.ioStalled.window, thresholds.ioStalled.for) },
  ],
  disk_slow: [
    {
      alert: 'KvmDiskLatencyHigh',
      within: after(WINDOW, thresholds.diskLatency.for),
      unfit: ({ size }) => size * DEVICE_SECONDS.nvme < thresholds.diskLatency.mean && 'too small',
    },
  ],
  exporter_down: [{ alert: 'KvmTelemetryDown', within: after(thresholds.down.for) }],
  lockdown: [{ alert: 'KvmTelemetryCollectorFailing', within: after(thresholds.collectorFailing.for) }],
};

/** Key of an alert: KvmTechniqueLost is a separate alert for each technique. */
export type Named = Pick<Expected, 'alert' | 'technique'>;

const named = (...alerts: readonly string[]): Named[] => alerts.map((alert) => ({ alert }));

/** Other alerts that an incident may raise, as a true consequence. */
export const CONSEQUENCES: Partial<Record<Incident['kind'], readonly Named[]>> = {
  exit_storm: named('KvmVcpuStarved', 'KvmExitStormAgainstBaseline'),
  storm_of_its_day: named('KvmExitStorm'),
  polling_lost: [
    // One kick per I/O also ends batching.
    { alert: 'KvmTechniqueLost', technique: 'parallel_batching' },
    ...named('KvmIoThreadSaturated'),
  ],
  vcpu_starved: named('KvmDiskLatencyHigh'),
  drift_widened: named('KvmVcpuStarved'),
  drift_shared_cpu: named('KvmAffinityDrift', 'KvmVcpuStarved', 'KvmPollingRegressed'),
  drift_other_node: named('KvmAffinityDrift'),
  disk_stall: named('KvmQueueImbalance', 'KvmDiskLatencyHigh'),
};
