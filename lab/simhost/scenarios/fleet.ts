import { STAGES } from '../../../exporter/metrics/stages.ts';
import { CALIBRATION } from '../calibration.ts';
import { SimulatedHost } from '../host.ts';
import { Random } from '../random.ts';
import type { SimVm, VmSpec } from '../vm.ts';
import { nvmes, type ScenarioOptions } from './scenario.ts';

/** Two VMs in each of the paper's configurations, `fast-0` to `fast-9`. */
const FAST = 10;
/** VMs with low load: `vm-0` to `vm-39`. */
const QUIET = 40;
/** A day's load curve, compressed. */
const DAY_SECONDS = 6 * 3600;
const DISKS = 6;
/** Ordinary events leave the disks and VMs from here on alone. */
const FIRST_OWN_DISK = 4;
const FIRST_OWN_FAST = 5;
const FIRST_OWN_QUIET = 20;

export interface Fleet {
  readonly host: SimulatedHost;
  /** The VMs for ordinary events, in random order. */
  readonly lively: readonly string[];
  /** Sets the load of each VM for this time: call it once a minute. */
  setLoads(): void;
}

interface Burst {
  readonly from: number;
  readonly to: number;
}

/** The load of one VM over time. */
interface Load {
  readonly peak: number;
  /** Share of the peak, in the quietest hour. */
  readonly floor: number;
  readonly phase: number;
  readonly bursts: readonly Burst[];
  readonly burst: number;
}

/** 50 VMs on one host, from nearly idle to NVMe speed, each with its own load. */
export function fleet(options: ScenarioOptions): Fleet {
  const random = new Random(options.seed ^ 0x51ee7);
  const specs = [
    ...Array.from({ length: FAST }, (_, i) => fastVm(i)),
    ...Array.from({ length: QUIET }, (_, i) => quietVm(i)),
  ];
  const host = new SimulatedHost({ ...options, cpus: 128, disks: nvmes(DISKS), vms: specs });
  const loads = new Map<string, Load>();
  const loadOf = (vm: SimVm): Load => {
    const load = loads.get(vm.name) ?? randomLoad(vm, random);
    loads.set(vm.name, load);
    return load;
  };
  const isLively = ({ name }: VmSpec): boolean => {
    const [kind, number] = name.split('-');
    return Number(number) < (kind === 'fast' ? FIRST_OWN_FAST : FIRST_OWN_QUIET);
  };
  return {
    host,
    lively: shuffled(
      specs.filter(isLively).map(({ name }) => name),
      random,
    ),
    setLoads: () => {
      for (const vm of host.vms) vm.iops = iopsAt(loadOf(vm), host.time, random);
    },
  };
}

function diskOf(i: number, isOwn: boolean): string {
  return `nvme${isOwn ? FIRST_OWN_DISK + (i % (DISKS - FIRST_OWN_DISK)) : i % FIRST_OWN_DISK}n1`;
}

function fastVm(i: number): VmSpec {
  const configuration = STAGES[i % STAGES.length] ?? 'original';
  const disks = [diskOf(i, i >= FIRST_OWN_FAST)];
  return { name: `fast-${i}`, configuration, disks, libvirt: i % 2 === 0 };
}

/** Like the initial VMs. Pinning takes whole cores, and there are not enough for all VMs. */
export function quietVm(i: number): VmSpec {
  return {
    name: `vm-${i}`,
    configuration: i % 5 === 0 ? 'affinity' : 'original',
    vcpus: 4,
    disks: [diskOf(i, i >= FIRST_OWN_QUIET && i < QUIET)],
    libvirt: i % 2 === 0,
    memoryMiB: 2048,
  };
}

function randomLoad(vm: SimVm, random: Random): Load {
  const isFast = vm.name.startsWith('fast');
  const peak = isFast ? 0.85 * CALIBRATION[vm.configuration].iops : 100 + random.next() * 3000;
  const bursts = Array.from({ length: 1 + random.below(3) }, (): Burst => {
    const from = random.next() * DAY_SECONDS;
    return { from, to: from + (1 + random.next() * 6) * 60 };
  });
  return { peak, floor: 0.15, phase: random.next(), bursts, burst: isFast ? vm.capacity : peak * 8 };
}

function iopsAt({ peak, floor, phase, bursts, burst }: Load, time: number, random: Random): number {
  const day = (1 + Math.sin(2 * Math.PI * (time / DAY_SECONDS + phase))) / 2;
  const usual = peak * (floor + (1 - floor) * day) * random.around(0.1);
  return bursts.some(({ from, to }) => time >= from && time < to) ? burst : usual;
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return all.map(() => left.splice(random.below(left.length), 1)[0] as T);
}
