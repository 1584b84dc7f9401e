import { addTo, groupBy } from '../../../kernel/maps.ts';
import { once } from '../../../kernel/once.ts';
import {
  BUCKETS,
  HALT_HISTOGRAMS,
  type KvmRows,
  VCPU_STATISTICS,
  type VcpuRow,
  type VmRow,
} from '../../../probes/bpf/kvm-rows.ts';
import type { VcpuTable } from '../../model/vcpu-table.ts';
import type { Vm } from '../../model/vm.ts';
import type { VmStatistics } from '../../model/vm-statistics.ts';

/** BPF reports no types: the name of a statistic decides its type. */
const NO_TYPES: VmStatistics['types'] = new Map();

type VmOfRows = Pick<Vm, 'key' | 'pid'>;

/**
 * Assigns the rows to the VMs by process. A VM without a row is missing in the result. A vCPU has the index of its thread,
 * because KVM's id of a vCPU may be its APIC id. If a process has several VMs, the vCPUs with one index are added, as debugfs
 * adds the VMs.
 *
 * @param indexOf index of the vCPU that a thread of the VM runs; undefined if unknown
 */
export function statisticsOf<V extends VmOfRows>(
  rows: KvmRows,
  vms: readonly V[],
  indexOf: (vm: V, tid: number) => number | undefined,
): Map<string, VmStatistics> {
  const vmRows = groupBy(rows.vms, ({ pid }) => pid);
  const vcpuRows = groupBy(rows.vcpus, ({ pid }) => pid);
  const found = new Map<string, VmStatistics>();
  for (const vm of vms) {
    const own = vmRows.get(vm.pid);
    if (own === undefined) continue;
    const vcpus = vcpuRows.get(vm.pid) ?? [];
    const byIndex = groupBy(vcpus, ({ tid, id }) => indexOf(vm, tid) ?? id);
    const groups = [...byIndex].sort(([a], [b]) => a - b);
    // Decode only at a scrape.
    const ofVm = once(() => sum(own.map(({ statistics }) => statistics)));
    const ofVcpus = once(() => tableOf(groups));
    const ofHalts = once(() => histograms(vcpus));
    found.set(vm.key, {
      source: 'bpf',
      get vm() {
        return ofVm();
      },
      get vcpus() {
        return ofVcpus();
      },
      get histograms() {
        return ofHalts();
      },
      haltPollNs: new Map(groups.flatMap(([index, same]) => longestWindow(index, same))),
      apicv: apicvOf(own, groups),
      confidential: own.find(({ confidential }) => confidential !== undefined)?.confidential,
      guestPolls: anyOf(vcpus.map(({ guestPolls }) => guestPolls)),
      haltsInside: anyOf(own.map(({ haltsInside }) => haltsInside)),
      notifyAddresses: allOrNone(own.map(({ notifyAddresses }) => notifyAddresses)),
      types: NO_TYPES,
      disks: [],
      iothreads: [],
      state: '',
    });
  }
  return found;
}

/** KVM's ids of the vCPUs, by process and by the thread that ran the vCPU last. */
export function vcpuThreads({ vcpus }: KvmRows): Map<number, Map<number, number>> {
  const threads = new Map<number, Map<number, number>>();
  for (const { pid, tid, id } of vcpus) {
    if (tid === 0) continue;
    const own = threads.get(pid) ?? new Map<number, number>();
    threads.set(pid, own.set(tid, id));
  }
  return threads;
}

/** For several VMs of a process: the reasons of all, and active only if it is active in all. */
function apicvOf(
  vms: readonly VmRow[],
  vcpus: readonly (readonly [index: number, rows: readonly VcpuRow[]])[],
): NonNullable<VmStatistics['apicv']> {
  const known = vms.flatMap(({ apicvInhibited }) => (apicvInhibited === undefined ? [] : [apicvInhibited]));
  const active = vcpus.flatMap(([index, rows]): [number, boolean][] => {
    const states = rows.flatMap(({ isApicvActive }) => isApicvActive ?? []);
    return states.length === 0 ? [] : [[index, !states.includes(false)]];
  });
  return { inhibited: new Set(known.flat()), active: new Map(active) };
}

/** undefined if one is unknown, or if there is none. */
function anyOf(flags: readonly (boolean | undefined)[]): boolean | undefined {
  if (flags.includes(true)) return true;
  return flags.length === 0 || flags.includes(undefined) ? undefined : false;
}

function allOrNone<T>(parts: readonly (readonly T[] | undefined)[]): T[] | undefined {
  return parts.includes(undefined) ? undefined : parts.flatMap((part) => part ?? []);
}

function longestWindow(index: number, rows: readonly VcpuRow[]): [number, number][] {
  const windows = rows.flatMap(({ haltPollNs }) => haltPollNs ?? []);
  return windows.length === 0 ? [] : [[index, Math.max(...windows)]];
}

/**
 * Nearly always there is one part. Peaks should not be summed, but a process with two VMs is rare and its peaks mean
 * nothing.
 */
function sum(parts: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const [first = new Map<string, number>(), ...more] = parts;
  if (more.length === 0) return first;
  const total = new Map(first);
  for (const part of more) {
    for (const [name, value] of part) addTo(total, name, value);
  }
  return total;
}

/** If a process has several VMs, the vCPUs with one index are added. */
function tableOf(groups: readonly (readonly [index: number, rows: readonly VcpuRow[]])[]): VcpuTable {
  const values = new Float64Array(groups.length * VCPU_STATISTICS.length).fill(Number.NaN);
  groups.forEach(([, rows], i) => {
    for (const row of rows) row.addStatistics(values, i * VCPU_STATISTICS.length);
  });
  return { names: VCPU_STATISTICS, indexes: groups.map(([index]) => index), values };
}

function histograms(rows: readonly VcpuRow[]): Map<string, readonly number[]> {
  const counts = HALT_HISTOGRAMS.map(() => new Float64Array(BUCKETS));
  const has = rows.map((row) => row.addHistograms(counts)).includes(true);
  return new Map(has ? HALT_HISTOGRAMS.map((name, i) => [name, [...(counts[i] ?? [])]]) : []);
}
