import { SimulatedHost } from '../host.ts';
import { Random } from '../random.ts';
import type { VmSpec } from '../vm.ts';
import {
  type HostKind,
  type Incident,
  Incidents,
  injectIntoHost,
  injectIntoVm,
  type ScenarioWithIncidents,
  type VmKind,
} from './incident.ts';
import {
  agenda,
  type Happening,
  MINUTE,
  nvmes,
  type ScenarioOptions,
  timetable,
  type Watchers,
} from './scenario.ts';

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The load of a VM over the day. */
interface Life {
  readonly spec: VmSpec;
  /** Peak I/Os per second. */
  readonly peak: number;
  /** Exits per second besides those of its I/O, as of a guest with many timers. */
  readonly exits?: number;
  /** Start of the VM in seconds after the start of the scenario; at once by default. */
  readonly born?: number;
}

const calm = (name: string): Life => ({
  spec: { name, configuration: 'original', vcpus: 4, disks: ['nvme0n1'] },
  peak: 300,
});
/** 1,500 exits per second and vCPU. */
const chatty = (name: string): Life => ({ ...calm(name), exits: 6000 });

const LIVES: readonly Life[] = [
  ...['calm-0', 'calm-1', 'calm-2'].map(calm),
  ...['chatty-0', 'chatty-1'].map(chatty),
  { ...calm('young'), born: DAY - 2 * HOUR },
  { spec: { name: 'batch', configuration: 'parallel_batching', disks: ['nvme1n1'] }, peak: 120_000 },
  { spec: { name: 'small', configuration: 'parallel_batching', disks: ['nvme1n1'] }, peak: 4000 },
];

type VmRow = readonly [kind: VmKind, vm: string, size: number, from: number, minutes: number];
type HostRow = readonly [kind: HostKind, from: number, minutes: number];

/** Times in minutes after the first day. */
const OF_VMS: readonly VmRow[] = [
  ['storm_of_its_day', 'calm-0', 12_000, 5, 20],
  ['storm_of_its_day', 'calm-1', 6000, 10, 20],
  ['storm_of_its_day', 'young', 12_000, 15, 20],
  ['storm_of_its_day', 'chatty-0', 14_000, 20, 30],
  ['storm_of_its_day', 'chatty-1', 32_000, 25, 20],
  ['storm_of_its_day', 'calm-2', 12_000, 30, 3],
  ['exits_slow', 'calm-1', 50, 40, 30],
  ['exits_slow', 'calm-0', 1000, 45, 30],
  ['exits_slow', 'calm-2', 1000, 50, 5],
  ['one_queue', 'batch', 1, 30, 40],
  ['one_queue', 'small', 1, 35, 40],
  ['one_queue', 'batch', 1, 80, 10],
];
const OF_HOST: readonly HostRow[] = [
  ['exporter_down', 95, 3],
  ['exporter_down', 105, 12],
  ['lockdown', 125, 10],
  ['lockdown', 140, 30],
];

/**
 * 27 hours: a day of eight VMs, then incidents that show only against that day, and outages of the exporter.
 */
export function day(options: ScenarioOptions): ScenarioWithIncidents {
  const host = new SimulatedHost({
    ...options,
    cpus: 64,
    disks: nvmes(2),
    vms: LIVES.filter(({ born }) => born === undefined).map(({ spec }) => spec),
  });
  const random = new Random(options.seed ^ 0xda1);
  const watchers: Watchers = { exporter: 'up', prometheus: 'up' };
  const lives: Happening[] = LIVES.flatMap(({ spec, exits, born = 0 }) => [
    ...(born > 0 ? [{ at: born, happen: () => void host.boot(spec) }] : []),
    { at: born, happen: () => host.faults.exitStorm(spec.name, exits) },
  ]);
  const all = new Incidents(random, DAY);
  for (const [kind, vm, size, from, minutes] of OF_VMS) {
    const life = LIVES.find(({ spec }) => spec.name === vm);
    all.add(from, minutes, [{ kind, vm, size, ...usualOf(kind, life) }], (on) => {
      injectIntoVm(host, kind, vm, size, on);
      if (kind === 'storm_of_its_day' && !on) host.faults.exitStorm(vm, life?.exits);
    });
  }
  for (const [kind, from, minutes] of OF_HOST)
    all.add(from, minutes, [{ kind, vm: '', size: 1 }], (on) => injectIntoHost(host, watchers, kind, on));
  const happen = agenda(host, [...lives, ...all.happenings]);
  const runDue = timetable(host, 10 * MINUTE, [
    {
      at: 0,
      happen: () => {
        for (const { spec, peak } of LIVES)
          if (host.vms.some(({ name }) => name === spec.name))
            host.load(spec.name, peak * curve(host.time) * random.around(0.1));
      },
    },
  ]);
  const script = (): void => {
    happen();
    runDue();
  };
  const unwatched = all.incidents.filter(({ kind }) => kind === 'exporter_down');
  return { host, watchers, unwatched, script, incidents: all.incidents };
}

function usualOf(kind: VmKind, life: Life | undefined): Pick<Incident, 'usual'> {
  if (kind === 'one_queue') return { usual: life?.peak ?? 0 };
  return kind === 'storm_of_its_day' && life?.born === undefined ? { usual: life?.exits ?? 0 } : {};
}

/** From 0.5 at the start of the day to 1 at noon. */
function curve(time: number): number {
  return 0.75 - 0.25 * Math.cos((2 * Math.PI * time) / DAY);
}
