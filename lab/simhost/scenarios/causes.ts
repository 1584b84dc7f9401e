import { SimulatedHost } from '../host.ts';
import { Random } from '../random.ts';
import type { VmSpec } from '../vm.ts';
import { agenda, MINUTE, nvmes, type Scenario, type ScenarioOptions, timetable } from './scenario.ts';

/** Something outside the guest that slows a VM's I/O. */
export interface CauseRow {
  readonly vm: Omit<VmSpec, 'name' | 'disks'>;
  /** The fault in words. */
  readonly what: string;
  set(host: SimulatedHost, vm: string, disk: string): void;
}

/** Time of all faults, in seconds after the start. */
export const CAUSES_AT = 12 * MINUTE;

const affinity: CauseRow['vm'] = { configuration: 'affinity' };
const polling: CauseRow['vm'] = { configuration: 'exitless_polling' };

/** Interval and share of the changes of a VM's load. */
const LOAD_SECONDS = 10;
const LOAD_NOISE = 0.1;
const LESS_LOAD = 'less_load';

/** By VM. Each has a disk and CPUs of its own. */
export const CAUSES: Readonly<Record<string, CauseRow>> = {
  quota: {
    vm: affinity,
    what: 'a quota of 3 CPUs for its cgroup (`cpu.max`)',
    set: (host, vm) => host.faults.quota(vm, 3),
  },
  neighbour: {
    vm: affinity,
    what: 'another program spins on the CPUs of its six vCPUs',
    set: (host, vm) => host.faults.hog(vm, 6),
  },
  device_slow: {
    vm: affinity,
    what: 'its NVMe takes 20 times as long',
    set: (host, _, disk) => host.faults.slowDisk(disk, 20),
  },
  lost_polling: {
    vm: polling,
    what: 'the guest kicks and gets interrupts again',
    set: (host, vm) => host.faults.losePolling(vm, true),
  },
  lost_pin: {
    vm: affinity,
    what: 'its IOThread is moved to the CPU of a vCPU',
    set: (host, vm) => host.faults.drift(vm, 'shared_cpu'),
  },
  apicv_lost: {
    vm: { configuration: 'affinity', apicv: true },
    what: 'KVM stops using APICv, as after a change of an APIC id',
    set: (host, vm) => host.faults.loseApicv(vm, true),
  },
  migration: {
    vm: affinity,
    what: 'QEMU sends it to another host and logs its dirty pages',
    set: (host, vm) => host.faults.migrate(vm, true),
  },
  frequency: {
    vm: affinity,
    what: 'its CPUs run at 40% of their frequency',
    set: (host, vm) => host.faults.slowCpus(vm, 0.4),
  },
  iothread_quota: {
    vm: { configuration: 'affinity', libvirt: true },
    what: 'a quota of 0.3 CPUs for the cgroup of its IOThread',
    set: (host, vm) => host.faults.quotaOfIoThread(vm, 0.3),
  },
  interrupt_storm: {
    vm: affinity,
    what: "interrupts take 40% of its vCPUs' CPUs",
    set: (host, vm) => host.faults.interrupt(vm, 0.4),
  },
  memory_swap: {
    vm: affinity,
    what: 'the host swaps its memory, for which it waits half of the time',
    set: (host, vm) => host.faults.swap(vm, 0.5),
  },
  /** The VM without a fault. */
  calm: { vm: affinity, what: 'nothing', set: () => undefined },
  /** The VM whose guest requests less, while nothing outside of it changes. */
  [LESS_LOAD]: {
    vm: affinity,
    what: 'its guest asks for a third of the I/O',
    set: (host, vm) => host.load(vm, 45_000),
  },
};

/** After twelve minutes each VM gets one fault, which stays. */
export function causes(options: ScenarioOptions): Scenario {
  const rows = Object.entries(CAUSES);
  const disks = nvmes(rows.length);
  const diskOf = (i: number): string => disks[i]?.name ?? '';
  const host = new SimulatedHost({
    ...options,
    cpus: 256,
    cpufreq: true,
    psi: true,
    disks,
    vms: rows.map(([name, { vm }], i) => ({ ...vm, name, disks: [diskOf(i)] })),
  });
  // Only the kernel reports APICv.
  host.hasBpf = true;
  const random = new Random(options.seed ^ 0xca05e);
  const runDue = timetable(host, LOAD_SECONDS, [
    {
      at: 0,
      happen: () => {
        for (const { name, capacity } of host.vms)
          if (name !== LESS_LOAD || host.time < CAUSES_AT)
            host.load(name, capacity * 0.9 * random.around(LOAD_NOISE));
      },
    },
  ]);
  const happenings = rows.map(([name, { set }], i) => ({
    at: CAUSES_AT,
    happen: () => set(host, name, diskOf(i)),
  }));
  const happen = agenda(host, happenings);
  const script = (): void => {
    runDue();
    happen();
  };
  return { host, script };
}
