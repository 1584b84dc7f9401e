import type { Family } from '../metrics/families.ts';
import type { Counts, LiveCpu, LiveCpuLoad, LiveHost, LiveSource, LiveVm } from './live.ts';
import { type FamilyIndex, indexOf, type Sample, samplesOf } from './samples.ts';

/** I/Os of a VM: what its disks completed; else what its threads asked the host's devices for. */
const DISK_IO = ['reads', 'writes', 'discards'].map((what) => `kvm_vm_disk_${what}_completed_total`);
const BLOCK_IO = 'kvm_vm_block_requests_total';
const EXITS = 'kvm_vm_exits_total';
const EXITS_BY_REASON = 'kvm_vm_exits_by_reason_total';
const RUN = 'kvm_thread_run_seconds_total';
const CPU = 'kvm_thread_cpu_seconds_total';

/** The table of VMs, in the order of their labels. */
export function liveVms(families: readonly Family[]): LiveVm[] {
  const index = indexOf(families);
  const exits = sums(index, [EXITS]);
  const reasons = exits.size > 0 ? new Map<string, number>() : sums(index, [EXITS_BY_REASON]);
  const disks = sums(index, DISK_IO);
  const requests = sums(index, [BLOCK_IO]);
  const path = groups(index, 'kvm_vm_io_path_events_total', 1);
  const run = groups(index, RUN, 2);
  const cpu = run.size > 0 ? run : groups(index, CPU, 2);
  const wait = groups(index, 'kvm_thread_wait_seconds_total', 2);
  const vcpus = sums(index, ['kvm_vm_vcpus']);
  const states = words(index, 'kvm_vm_state_info');
  const phases = words(index, 'kvm_vm_phase_info');
  const drifting = sums(index, ['kvm_vm_affinity_drift_threads']);
  const kinds = lists(index, 'kvm_thread_affinity_drift', 1, ({ labels }) => labels[2]);
  const silent = lists(index, 'kvm_vm_source_up', 0, ({ labels }) => labels[1]);
  const stageFrom = (source: string): Map<string, string[]> =>
    lists(index, 'kvm_vm_stage_info', 1, ({ labels }) => (labels[2] === source ? labels[1] : undefined));
  const detected = stageFrom('detected');
  const declared = stageFrom('declared');

  const vms: LiveVm[] = [];
  for (const { labels } of samplesOf(index, 'kvm_vm_info')) {
    const [vm = '', , , vmm = '', , , , pid = ''] = labels;
    const threads = drifting.get(vm);
    vms.push({
      ...{ vm, pid, vmm, state: states.get(vm), silent: silent.get(vm) ?? [] },
      vcpus: vcpus.get(vm) ?? 0,
      exits: from(exits.get(vm), EXITS) ?? from(reasons.get(vm), EXITS_BY_REASON),
      path: path.get(vm),
      io: from(disks.get(vm), 'kvm_vm_disk_*_completed_total') ?? from(requests.get(vm), BLOCK_IO),
      run: cpu.get(vm) ?? {},
      wait: wait.get(vm) ?? {},
      drift: threads === undefined ? undefined : { threads, kinds: [...new Set(kinds.get(vm))].sort() },
      stage: declared.get(vm)?.[0] ?? detected.get(vm)?.[0],
      stageDeclared: declared.has(vm),
      phase: phases.get(vm),
    });
  }
  return vms;
}

/** What is told of the host, beside what doctor says. */
export function liveHost(
  families: readonly Family[],
  sources: readonly LiveSource[],
  grafanaUrl: string | undefined,
): LiveHost {
  const index = indexOf(families);
  const [build] = [...samplesOf(index, 'kvm_telemetry_build_info')];
  const [lockdown] = [...samplesOf(index, 'kvm_lockdown_info')];
  const [backend] = [...samplesOf(index, 'kvm_telemetry_trace_backend_info')];
  const ratios = [...samplesOf(index, 'kvm_telemetry_trace_active_ratio')];
  const timed = ratios.find(({ labels }) => labels[0] === 'exit_duration');
  return {
    version: build?.labels[0] ?? '',
    simulated: build?.labels[3] === 'true',
    lockdown: lockdown?.labels[0] ?? 'unknown',
    traceBackend: backend?.labels[0],
    // Its third digit changes all the time and tells nobody anything.
    timedRatio: timed === undefined ? undefined : Math.round(timed.value * 100) / 100,
    grafanaUrl,
    sources,
    cpus: liveCpus(index),
  };
}

/** How busy each CPU of liveHost() is, in the same order. */
export function liveLoads(families: readonly Family[]): LiveCpuLoad[] {
  const index = indexOf(families);
  const run = sums(index, ['kvm_cpu_run_seconds_total']);
  const threads = new Map<number, number>();
  for (const cpu of index.get('kvm_thread_cpu')?.values ?? []) threads.set(cpu, (threads.get(cpu) ?? 0) + 1);
  return liveCpus(index).map(({ cpu }) => ({ run: run.get(String(cpu)), threads: threads.get(cpu) ?? 0 }));
}

function liveCpus(index: FamilyIndex): LiveCpu[] {
  return [...samplesOf(index, 'kvm_cpu_info')].map(({ labels }) => {
    const [cpu = '', inPackage = '', core = '', node = '', siblings = '', isolated = ''] = labels;
    return { cpu: Number(cpu), node, package: inPackage, core, siblings, isolated: isolated === 'true' };
  });
}

function from(total: number | undefined, metric: string): LiveVm['exits'] {
  return total === undefined ? undefined : { total, from: metric };
}

/** Of several families, by the first label. */
function sums(index: FamilyIndex, names: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of names) {
    for (const { labels, value } of samplesOf(index, name)) add(found, labels[0], value);
  }
  return found;
}

/** By the first label, and under it by another one. */
function groups(index: FamilyIndex, name: string, label: number): Map<string, Counts> {
  const found = new Map<string, Map<string, number>>();
  for (const { labels, value } of samplesOf(index, name)) {
    const [vm = ''] = labels;
    const counts = found.get(vm) ?? new Map<string, number>();
    if (counts.size === 0) found.set(vm, counts);
    add(counts, labels[label], value);
  }
  return new Map([...found].map(([vm, counts]) => [vm, Object.fromEntries(counts)]));
}

function words(index: FamilyIndex, name: string): Map<string, string> {
  return new Map([...samplesOf(index, name)].map(({ labels: [vm = '', word = ''] }) => [vm, word]));
}

/** What `pick` finds in the samples of each VM that have this value. */
function lists(
  index: FamilyIndex,
  name: string,
  value: number,
  pick: (sample: Sample) => string | undefined,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const sample of samplesOf(index, name, value)) {
    const picked = pick(sample);
    if (picked === undefined) continue;
    const [vm = ''] = sample.labels;
    const list = found.get(vm);
    if (list === undefined) found.set(vm, [picked]);
    else list.push(picked);
  }
  return found;
}

function add(sum: Map<string, number>, key = '', value = 0): void {
  sum.set(key, (sum.get(key) ?? 0) + value);
}
