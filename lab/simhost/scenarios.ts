import { rankOf, STAGES } from '../../exporter/metrics/stages.ts';
import { CONFIGURATIONS, type Configuration } from './calibration.ts';
import type { DiskSpec } from './disk.ts';
import { type HostOptions, SimulatedHost } from './host.ts';
import { Random } from './random.ts';
import { causes } from './scenarios/causes.ts';
import { day } from './scenarios/day.ts';
import { incidents } from './scenarios/incidents.ts';
import { normal } from './scenarios/normal.ts';
import {
  between,
  MINUTE,
  nvmes,
  type Scenario,
  type ScenarioOptions,
  timetable,
} from './scenarios/scenario.ts';
import type { VmSpec } from './vm.ts';

/** A scenario without events. */
function calm(host: SimulatedHost): Scenario {
  return { host, script: () => undefined };
}

/** The paper's machine with one VM of six vCPUs on one NVMe and 128 I/Os in flight (6, 6.3.2). */
export function paper(options: ScenarioOptions, configuration: Configuration): Scenario {
  const isSata = configuration.startsWith('sata');
  const sata = ['sda', 'sdb', 'sdc', 'sdd'].map(
    (name): DiskSpec => ({ name, kind: 'sata', node: 0, hardwareQueues: 1 }),
  );
  const disks = isSata ? sata : nvmes(1);
  const vm: VmSpec = { name: 'paper', configuration, disks: disks.map(({ name }) => name) };
  return calm(new SimulatedHost({ ...options, disks, vms: [vm] }));
}

/**
 * Six VMs, each on an NVMe of its own, go through the paper's stages one after the other: one stage every
 * four minutes. Two VMs use libvirt; one VM is nearly idle. Each round of eight minutes has an exit storm, a
 * drift and a disk stall.
 */
export function demo(options: ScenarioOptions): Scenario {
  const names = ['web', 'db-a', 'db-b', 'kv', 'mail', 'build'];
  const vms = names.map((name, i): VmSpec => {
    const configuration = STAGES[Math.min(i, STAGES.length - 1)] ?? 'original';
    return {
      name,
      configuration,
      disks: [`nvme${i}n1`],
      libvirt: i === 1 || i === 2,
      vhostNet: true,
      ...(name === 'mail' ? { iops: 12_000, writes: 0.4 } : {}),
    };
  });
  const host = new SimulatedHost({
    ...options,
    cpus: 128,
    cpufreq: true,
    disks: nvmes(names.length),
    vms,
  });
  const climb = (round: number): void => {
    for (const [i, name] of names.entries()) {
      if (i === 4 || (i + round) % 2 === 0) continue;
      const { configuration } = host.vm(name);
      const next = STAGES[(rankOf(configuration) + 1) % STAGES.length];
      if (next !== undefined) host.configure(name, next);
    }
  };
  /** The first pinned VM at or after this one. Only a pinned VM can drift. */
  const pinned = (from: number): string => {
    const rotated = [...names.slice(from % names.length), ...names.slice(0, from % names.length)];
    return rotated.find((name) => host.vm(name).calibration.pinned) ?? 'mail';
  };
  let drifted = '';
  const script = timetable(host, 8 * MINUTE, [
    { at: 0.5 * MINUTE, happen: () => host.faults.exitStorm('web', 300_000) },
    { at: 1.5 * MINUTE, happen: () => host.faults.exitStorm('web', undefined) },
    {
      at: 2 * MINUTE,
      happen: (round) => {
        drifted = pinned(round + 1);
        host.faults.drift(
          drifted,
          (['widened', 'shared_cpu', 'other_node'] as const)[round % 3] ?? 'widened',
        );
      },
    },
    { at: 3.5 * MINUTE, happen: () => host.faults.restore(drifted) },
    { at: 4 * MINUTE, happen: climb },
    { at: 5 * MINUTE, happen: () => host.faults.wasteHaltPolls('mail', true) },
    { at: 6 * MINUTE, happen: () => host.faults.wasteHaltPolls('mail', false) },
    { at: 6.5 * MINUTE, happen: () => host.faults.stallDisk('nvme3n1', true) },
    { at: 7 * MINUTE, happen: () => host.faults.stallDisk('nvme3n1', false) },
  ]);
  return { host, script };
}

/** VMs with low load, pinned and unpinned, without any event. @param more of the specification of each VM */
export function quiet(
  options: ScenarioOptions,
  vms: number,
  vcpus = 4,
  more: Partial<VmSpec> = {},
): Scenario {
  const random = new Random(options.seed ^ 0x51);
  const disks = nvmes(4);
  const specs = Array.from({ length: vms }, (_, i): VmSpec => {
    // Pinning takes whole cores, and there are not enough for many VMs.
    const configuration = i % 10 === 0 ? 'affinity' : 'original';
    return {
      name: `vm-${String(i).padStart(4, '0')}`,
      configuration,
      vcpus,
      disks: [`nvme${i % disks.length}n1`],
      iops: Math.round(50 + random.next() * 1500),
      libvirt: i % 2 === 0,
      apicv: true,
      memoryMiB: 2048,
      ...more,
    };
  });
  return calm(new SimulatedHost({ ...options, cpus: 128, disks, vms: specs, ...apicv }));
}

const apicv: Pick<HostOptions, 'parameters'> = { parameters: { 'kvm_intel.enable_apicv': 'Y' } };

/** Many events in a short time: each kind once in 20 minutes, on the first VMs of a quiet host. */
export function troubled(options: ScenarioOptions, vms: number, vcpus = 4): Scenario {
  const { host } = quiet(options, vms, vcpus);
  const name = (i: number): string => `vm-${String(i).padStart(4, '0')}`;
  const minutes = (from: number, to: number, set: (on: boolean) => void) =>
    between(from * MINUTE, to * MINUTE, set);
  const script = timetable(host, 20 * MINUTE, [
    ...minutes(1, 3, (on) => host.faults.exitStorm(name(1), on ? 60_000 : undefined)),
    ...minutes(4, 6, (on) => (on ? host.faults.drift(name(0), 'shared_cpu') : host.faults.restore(name(0)))),
    ...minutes(7, 8, (on) => host.faults.stallIo(name(2), on)),
    ...minutes(9, 11, (on) => host.faults.wasteHaltPolls(name(3), on)),
    ...minutes(12, 13, (on) => host.faults.hangMonitor(name(4), on)),
    ...minutes(14, 15, (on) => {
      host.lockdown = on ? 'integrity' : 'none';
    }),
    ...minutes(16, 18, (on) =>
      on ? host.destroy(name(5)) : host.boot({ name: name(5), configuration: 'original', vcpus, iops: 500 }),
    ),
    { at: 19 * MINUTE, happen: () => void host.reboot(name(6)) },
  ]);
  return { host, script };
}

/** Scenarios by name, for the command line. */
export const SCENARIOS: Readonly<Record<string, (options: ScenarioOptions) => Scenario>> = {
  demo,
  quiet: (options) => quiet(options, 50),
  large: (options) => quiet({ ...options, cpufreq: true }, 100, 8),
  troubled: (options) => troubled(options, 50),
  normal,
  incidents,
  day,
  causes,
  ...Object.fromEntries(
    CONFIGURATIONS.map((configuration) => [
      configuration,
      (options: ScenarioOptions) => paper(options, configuration),
    ]),
  ),
};
