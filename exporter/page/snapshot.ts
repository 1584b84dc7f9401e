import { addTo, append, getOrInsert } from '../../kernel/maps.ts';
import type { LabelsOf } from '../metrics/catalogue.ts';
import type { Family } from '../metrics/families.ts';
import { rankOf } from '../metrics/stages.ts';
import { TECHNIQUES, type Technique } from '../metrics/techniques.ts';
import type { Hider, Sight } from '../metrics/visibility.ts';
import { IO_ROLES } from '../model/roles.ts';
import { inWords, type States } from '../model/stage.ts';
import type { Verdicts } from '../model/technique.ts';
import { hiderInWords } from '../model/visibility-in-words.ts';
import type {
  Counts,
  LiveCpu,
  LiveCpuLoad,
  LiveDevice,
  LiveHidden,
  LiveHost,
  LiveSource,
  LiveTechnique,
  LiveVm,
} from './live.ts';
import { type FamilyIndex, indexOf, type Sample, type SeriesName, samplesOf } from './samples.ts';

/**
 * Completed I/Os of a VM's disks. If they are not available, the requests of its threads to host devices are
 * used.
 */
const DISK_IO = [
  'kvm_vm_disk_reads_completed_total',
  'kvm_vm_disk_writes_completed_total',
  'kvm_vm_disk_discards_completed_total',
] as const;
const BLOCK_IO = 'kvm_vm_block_requests_total';
/** Requests of a block device. Completed discards are no writes. */
const DEVICE_IO = [
  'kvm_block_reads_completed_total',
  'kvm_block_writes_completed_total',
  'kvm_block_discards_completed_total',
] as const;
/** Parameters of kvm_intel and kvm_amd that enable the virtualization of interrupts. */
const APICV = ['enable_apicv', 'avic'];
const EXITS = 'kvm_vm_exits_total';
const EXITS_BY_REASON = 'kvm_vm_exits_by_reason_total';

/**
 * The table of VMs, sorted by label.
 *
 * @param verdicts by label, with their age, which /metrics lacks
 */
export function liveVms(
  families: readonly Family[],
  verdicts: ReadonlyMap<string, Verdicts> = new Map(),
): LiveVm[] {
  const index = indexOf(families);
  const exits = sums(index, [EXITS], 'vm');
  const reasons = exits.size > 0 ? new Map<string, number>() : sums(index, [EXITS_BY_REASON], 'vm');
  const disks = sums(index, DISK_IO, 'vm');
  const requests = sums(index, [BLOCK_IO], 'vm');
  const devices = devicesOf(index);
  const path = groups(index, 'kvm_vm_io_path_events_total', 'step');
  const run = groups(index, 'kvm_thread_run_seconds_total', 'role');
  const cpu = run.size > 0 ? run : groups(index, 'kvm_thread_cpu_seconds_total', 'role');
  const wait = groups(index, 'kvm_thread_wait_seconds_total', 'role');
  const throttled = groups(index, 'kvm_vm_throttled_seconds_total', 'group');
  const vcpus = sums(index, ['kvm_vm_vcpus'], 'vm');
  const states = lists(index, 'kvm_vm_state_info', 1, ({ state }) => state);
  const phases = lists(index, 'kvm_vm_phase_info', 1, ({ phase }) => phase);
  const drifting = sums(index, ['kvm_vm_affinity_drift_threads'], 'vm');
  const kinds = lists(index, 'kvm_thread_affinity_drift', 1, ({ kind }) => kind);
  const silent = lists(index, 'kvm_vm_source_up', 0, ({ source }) => source);
  // If there is no stage, the label lists the techniques in force in words.
  const detected = lists(index, 'kvm_vm_stage_info', 1, ({ stage, source }) =>
    source === 'detected' && rankOf(stage) >= 0 ? stage : undefined,
  );
  const techniques = techniquesByVm(index, verdicts);
  const hidden = hiddenByVm(index);

  return [...samplesOf(index, 'kvm_vm_info')].map(({ labels: { vm, vmm, pid } }) => {
    const threads = drifting.get(vm);
    const cpuByRole = cpu.get(vm) ?? {};
    const judged = techniques.get(vm) ?? [];
    return {
      vm,
      pid,
      vmm,
      state: states.get(vm)?.[0],
      silent: silent.get(vm) ?? [],
      vcpus: vcpus.get(vm) ?? 0,
      exits: from(exits.get(vm), EXITS) ?? from(reasons.get(vm), EXITS_BY_REASON),
      path: path.get(vm),
      io: from(disks.get(vm), 'kvm_vm_disk_*_completed_total') ?? from(requests.get(vm), BLOCK_IO),
      devices: devices.get(vm) ?? [],
      run: cpuByRole,
      ioRoles: [...IO_ROLES].filter((role) => role in cpuByRole),
      wait: wait.get(vm) ?? {},
      hidden: hidden.get(vm) ?? [],
      throttled: throttled.get(vm) ?? {},
      drift: threads === undefined ? undefined : { threads, kinds: [...new Set(kinds.get(vm))].sort() },
      stage: judged.length === 0 ? undefined : detected.get(vm)?.[0],
      inForce: judged.length === 0 ? undefined : inWords(statesFrom(judged)),
      stageRank: judged.length === 0 ? undefined : judged.filter(({ state }) => state === 'in_force').length,
      techniques: judged,
      phase: phases.get(vm)?.[0],
    };
  });
}

/** In the order of the paper. */
function techniquesByVm(
  index: FamilyIndex,
  verdicts: ReadonlyMap<string, Verdicts>,
): Map<string, LiveTechnique[]> {
  const key = (vm: string, technique: string): string => `${technique} ${vm}`;
  const since = new Map<string, number>();
  for (const { labels, value } of samplesOf(index, 'kvm_vm_technique_since_timestamp_seconds'))
    since.set(key(labels.vm, labels.technique), value);
  const evidence = new Map<string, Record<string, number>>();
  const was = new Map<string, Record<string, number>>();
  for (const { labels, value } of samplesOf(index, 'kvm_vm_technique_last_in_force_ratio'))
    was.set(key(labels.vm, labels.technique), { [labels.evidence]: value });
  for (const { labels, value } of samplesOf(index, 'kvm_vm_technique_evidence_ratio')) {
    const of = key(labels.vm, labels.technique);
    evidence.set(of, { ...evidence.get(of), [labels.evidence]: value });
  }
  const reasons = new Map<string, string>();
  for (const { labels } of samplesOf(index, 'kvm_vm_technique_unknown_info'))
    reasons.set(key(labels.vm, labels.technique), labels.reason);
  const contradicted = new Set<string>();
  for (const { labels } of samplesOf(index, 'kvm_vm_phase_contradicted', 1))
    contradicted.add(key(labels.vm, labels.technique));
  const found = new Map<string, LiveTechnique[]>();
  for (const { labels } of samplesOf(index, 'kvm_vm_technique_state', 1)) {
    const { vm, technique, state } = labels;
    const of = key(vm, technique);
    const unjudged = verdicts.get(vm)?.[technique as Technique].unjudged;
    const each: LiveTechnique = {
      technique,
      state,
      since: since.get(of) ?? 0,
      evidence: evidence.get(of) ?? {},
      was: was.get(of) ?? {},
      reason: reasons.get(of),
      unjudged: unjudged === undefined ? undefined : { seconds: unjudged.seconds },
      contradictsPhase: contradicted.has(of),
    };
    found.set(vm, [...(found.get(vm) ?? []), each]);
  }
  return found;
}

/** One entry for each reason. */
function hiddenByVm(index: FamilyIndex): Map<string, LiveHidden[]> {
  const byVm = new Map<string, Map<Hider, Sight[]>>();
  for (const { labels } of samplesOf(index, 'kvm_vm_visibility', 0)) {
    // The collector writes no other values.
    const [what, reason] = [labels.what as Sight, labels.reason as Hider];
    append(
      getOrInsert(byVm, labels.vm, () => new Map<Hider, Sight[]>()),
      reason,
      what,
    );
  }
  return new Map(
    [...byVm].map(([vm, hidden]) => [
      vm,
      [...hidden].map(([reason, whats]) => ({ reason, whats, text: hiderInWords(reason, whats) })),
    ]),
  );
}

function statesFrom(judged: readonly LiveTechnique[]): States {
  const states = new Map(judged.map(({ technique, state }) => [technique, state]));
  const of = (technique: Technique): [Technique, string] => [technique, states.get(technique) ?? 'unknown'];
  return Object.fromEntries(TECHNIQUES.map(of)) as States;
}

/** Facts that no metric has. */
export interface HostFacts {
  readonly name: string | undefined;
  readonly kernel: string | undefined;
  readonly grafanaUrl: string | undefined;
}

/** Facts of the host, including the sources as evaluated by doctor. */
export function liveHost(
  families: readonly Family[],
  sources: readonly LiveSource[],
  { name, kernel, grafanaUrl }: HostFacts,
): LiveHost {
  const index = indexOf(families);
  const [build] = samplesOf(index, 'kvm_telemetry_build_info');
  const [lockdown] = samplesOf(index, 'kvm_lockdown_info');
  const [backend] = samplesOf(index, 'kvm_telemetry_trace_backend_info');
  const timed = sums(index, ['kvm_telemetry_trace_active_ratio'], 'set').get('exit_duration');
  const apicv = [...samplesOf(index, 'kvm_module_parameter')].find(({ labels }) =>
    APICV.includes(labels.parameter),
  );
  return {
    name,
    kernel,
    apicv: apicv === undefined ? undefined : apicv.value === 1,
    version: build?.labels.version ?? '',
    simulated: build?.labels.simulated === 'true',
    lockdown: lockdown?.labels.mode ?? 'unknown',
    traceBackend: backend?.labels.backend,
    // Rounded, so that invisible changes do not redraw the page.
    timedRatio: timed === undefined ? undefined : Math.round(timed * 100) / 100,
    grafanaUrl,
    sources,
    cpus: liveCpus(index),
  };
}

/** Load of each CPU of liveHost(), in the same order. */
export function liveLoads(families: readonly Family[]): LiveCpuLoad[] {
  const index = indexOf(families);
  const run = sums(index, ['kvm_cpu_run_seconds_total'], 'cpu');
  const threads = new Map<number, number>();
  for (const cpu of index.get('kvm_thread_cpu')?.values ?? []) addTo(threads, cpu, 1);
  return liveCpus(index).map(({ cpu }) => ({ run: run.get(String(cpu)), threads: threads.get(cpu) ?? 0 }));
}

function liveCpus(index: FamilyIndex): LiveCpu[] {
  return [...samplesOf(index, 'kvm_cpu_info')].map(({ labels }) => ({
    cpu: Number(labels.cpu),
    node: labels.node,
    package: labels.package,
    core: labels.core,
    siblings: labels.siblings,
    isolated: labels.isolated === 'true',
  }));
}

/** The devices below each VM's disks. A device that the block collector does not report is left out. */
function devicesOf(index: FamilyIndex): Map<string, LiveDevice[]> {
  const inFlight = sums(index, ['kvm_block_io_now'], 'device');
  const completed = sums(index, DEVICE_IO, 'device');
  const found = new Map<string, LiveDevice[]>();
  for (const [vm, names] of lists(index, 'kvm_vm_block_device_info', 1, ({ device }) => device)) {
    const devices = [...new Set(names)].flatMap((device) => {
      const [now, done] = [inFlight.get(device), completed.get(device)];
      return now === undefined || done === undefined ? [] : [{ device, inFlight: now, completed: done }];
    });
    found.set(vm, devices);
  }
  return found;
}

function from(total: number | undefined, metric: string): LiveVm['exits'] {
  return total === undefined ? undefined : { total, from: metric };
}

/** Sums of several metrics by one label. */
function sums<M extends SeriesName>(
  index: FamilyIndex,
  names: readonly M[],
  by: LabelsOf<M>,
): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of names) {
    for (const { labels, value } of samplesOf(index, name)) addTo(found, labels[by], value);
  }
  return found;
}

/** A metric that has the label `vm`. */
type OfVms = { [M in SeriesName]: 'vm' extends LabelsOf<M> ? M : never }[SeriesName];

function vmOf<M extends OfVms>(labels: Sample<M>['labels']): string {
  // The compiler cannot resolve the mapped type OfVms.
  return (labels as Readonly<Record<string, string>>)['vm'] ?? '';
}

/** Sums by VM, and within a VM by another label. */
function groups<M extends OfVms>(index: FamilyIndex, name: M, by: LabelsOf<M>): Map<string, Counts> {
  const found = new Map<string, Map<string, number>>();
  for (const { labels, value } of samplesOf(index, name)) {
    const counts = getOrInsert(found, vmOf<M>(labels), () => new Map<string, number>());
    addTo(counts, labels[by], value);
  }
  return new Map([...found].map(([vm, counts]) => [vm, Object.fromEntries(counts)]));
}

/** Results of `pick` by VM, for the samples with this value. */
function lists<M extends OfVms>(
  index: FamilyIndex,
  name: M,
  value: number,
  pick: (labels: Sample<M>['labels']) => string | undefined,
): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { labels } of samplesOf(index, name, value)) {
    const picked = pick(labels);
    if (picked !== undefined) append(found, vmOf<M>(labels), picked);
  }
  return found;
}
