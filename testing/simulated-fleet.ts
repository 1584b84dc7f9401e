import { FLEET_METRICS } from '../exporter/compare/fleet/metrics.ts';
import type { FleetComparison, FleetHost } from '../exporter/compare/fleet/model.ts';
import type { TermName } from '../exporter/compare/fleet/queries.ts';
import { windowsByGroup } from '../exporter/compare/fleet/times.ts';
import { Random } from '../lab/simhost/random.ts';
import { autoregression, normal } from './comparison.ts';

export const OLD = '6.1.0-9-amd64';
export const NEW = '6.1.0-10-amd64';
const START = 1_760_004_000;
const VMS = 20;

export interface FleetOptions {
  readonly seed: number;
  readonly hosts: number;
  /** So many of the hosts get the new kernel in the middle of the time; the others keep the old one. */
  readonly updated: number;
  /** So many of the updated hosts become slower with it. */
  readonly slow?: number;
  /** 1.08 is 8% more latency and CPU for each I/O. */
  readonly factor?: number;
  /** Every host has this many times the latency in the second half of the time. */
  readonly shift?: number;
  /** The new kernel is there from the beginning: different hosts have different kernels. */
  readonly fromBegin?: boolean;
  readonly windows?: number;
  readonly seconds?: number;
}

/** A host as the recorded series show it: one number for each window. */
export interface SimulatedHost {
  readonly cluster: string;
  readonly instance: string;
  readonly isSlow: boolean;
  readonly kernels: readonly string[];
  readonly ios: Float64Array;
  /** Mean seconds of an I/O. */
  readonly latency: Float64Array;
  readonly cpu: Float64Array;
  readonly exits: Float64Array;
}

/** Hosts that differ in size and speed, each with a load that lasts longer than a window. */
export function simulatedFleet(options: FleetOptions): SimulatedHost[] {
  const { seed, hosts, updated, slow = 0, factor = 1, shift = 1, fromBegin = false, windows = 144 } = options;
  const random = new Random(seed);
  const noise = { seed, samples: windows, correlation: 0.7, spread: 0.04 };
  return Array.from({ length: hosts }, (_, h) => {
    const [size, speed] = [Math.exp(0.7 * normal(random)), Math.exp(0.3 * normal(random))];
    // Updates take a while to reach every host.
    const change = fromBegin ? 0 : Math.floor(windows / 2) + (h % 5);
    const isUpdated = (i: number): boolean => h < updated && i >= change;
    const isSlow = h < slow;
    const around = (): Float64Array => autoregression(random, noise);
    const [ios, latency, cpu, exits] = [around(), around(), around(), around()];
    const cost = (i: number): number => (isSlow && isUpdated(i) ? factor : 1);
    const shifted = (i: number): number => (i >= windows / 2 ? shift : 1);
    return {
      cluster: h % 2 === 0 ? 'east' : 'west',
      instance: `kvm${h}:9954`,
      isSlow,
      kernels: Array.from({ length: windows }, (__, i) => (isUpdated(i) ? NEW : OLD)),
      ios: ios.map((value) => 20_000 * size * value),
      latency: latency.map((value, i) => 3e-4 * speed * value * cost(i) * shifted(i)),
      cpu: cpu.map((value, i) => 2e-4 * 20_000 * size * (ios[i] ?? 1) * value * cost(i)),
      exits: exits.map((value, i) => 5 * 20_000 * size * (ios[i] ?? 1) * value),
    };
  });
}

/** As `readFleet` would read it. */
export function fleetComparison(
  fleet: readonly SimulatedHost[],
  { windows: count = 144, seconds = 300 }: Pick<FleetOptions, 'windows' | 'seconds'> = {},
): FleetComparison {
  const hosts = fleet.map((host): FleetHost => {
    const { cluster, instance, kernels, ios, latency, cpu, exits } = host;
    const numbers = new Map<TermName, Float64Array>([
      ['vms', new Float64Array(count).fill(VMS)],
      ['ios', ios],
      ['disk_ios', ios],
      ['disk_seconds', ios.map((value, i) => value * (latency[i] ?? 0))],
      ['cpu', cpu],
      ['exits', exits],
    ]);
    const times = windowsByGroup(
      kernels.map((kernel) => [kernel]),
      seconds,
      60,
    );
    return {
      name: `${cluster}/${instance}`,
      groups: new Map([...times].map(([kernel, windows]) => [kernel, { windows, numbers }])),
    };
  });
  return {
    label: 'kernel',
    isOfVm: false,
    metrics: FLEET_METRICS.filter(({ id }) => ['iops', 'latency_mean', 'cpu_per_1000_ios'].includes(id)),
    groups: [OLD, NEW],
    hosts,
    windows: { start: START, seconds, count },
    warmUp: 60,
    notes: [],
  };
}

/** The recorded series as lines of Prometheus with times, and their range. Series of one name are adjacent. */
export function fleetSeries(
  fleet: readonly SimulatedHost[],
  { seconds = 300, step = 60 }: { readonly seconds?: number; readonly step?: number } = {},
): { readonly lines: string[]; readonly from: number; readonly to: number } {
  const windows = fleet[0]?.kernels.length ?? 0;
  const to = START + windows * seconds;
  const lines: string[] = [];
  const write = (name: string, more: string, of: (host: SimulatedHost, i: number) => number): void => {
    for (const host of fleet)
      for (let at = START + step; at < to; at += step) {
        const i = Math.floor((at - START) / seconds);
        lines.push(`${name}{${labelsOf(host)}${more}} ${of(host, i)} ${at}`);
      }
  };
  write('host:kvm_exits:rate', '', ({ exits }, i) => exits[i] ?? 0);
  write('host:kvm_ios:rate', '', ({ ios }, i) => ios[i] ?? 0);
  write('host:kvm_vms:count', '', () => 2);
  write('host_role:kvm_cpu_seconds:rate', ',role="vcpu"', ({ cpu }, i) => cpu[i] ?? 0);
  for (const kernel of [OLD, NEW])
    for (const host of fleet)
      for (let at = START + step; at < to; at += step)
        if (host.kernels[Math.floor((at - START) / seconds)] === kernel)
          lines.push(`kvm_host_info{${labelsOf(host)},kernel="${kernel}",cpu_model="EPYC"} 1 ${at}`);
  const vms = [
    { vm: 'a', qemu: '8.2.0', share: 0.5 },
    { vm: 'b', qemu: '9.0.0', share: 0.5 },
  ];
  const byVm = (
    name: string,
    more: string,
    of: (host: SimulatedHost, i: number, share: number) => number,
  ): void => {
    for (const { vm, share } of vms) write(name, `,vm="${vm}"${more}`, (host, i) => of(host, i, share));
  };
  for (const { vm, qemu } of vms) write('kvm_vm_qemu_version_info', `,vm="${vm}",version="${qemu}"`, () => 1);
  byVm('kvm_vm_vcpus', '', () => 4);
  byVm('vm:kvm_ios:rate', '', ({ ios }, i, share) => share * (ios[i] ?? 0));
  byVm('vm_disk:kvm_disk_ios:rate', ',disk="d"', ({ ios }, i, share) => share * (ios[i] ?? 0));
  byVm('vm_disk:kvm_disk_latency_seconds:mean', ',disk="d"', ({ latency }, i) => latency[i] ?? 0);
  return { lines, from: START, to };
}

function labelsOf({ cluster, instance }: SimulatedHost): string {
  return `cluster="${cluster}",rack="r${instance.length % 2}",job="kvm-telemetry",instance="${instance}"`;
}
