import { NSEC_PER_SEC } from '../../kernel/units.ts';
import type { SourceError } from '../../probes/errors.ts';
import type { Families } from '../metrics/families.ts';
import { CounterSet } from '../model/continued-counter.ts';
import { writeTo } from '../model/notify-addresses.ts';
import { Queues } from '../model/queues.ts';
import type { Stages } from '../model/stage-reading.ts';
import type { TraceReading } from '../model/trace-reading.ts';
import { type Visibility, visibilityOf } from '../model/visibility.ts';
import type { Vm } from '../model/vm.ts';
import { stepsOf, type VmTrace } from '../model/vm-trace.ts';
import type { Collector } from './collector.ts';
import { addExitDurations, addExits } from './trace-exits.ts';
import { addBlockRequests, addKicks, addMsi } from './trace-io.ts';
import type { TraceSamples } from './trace-samples.ts';

/** State of a VM that keeps names stable and counters monotonic. */
interface VmState {
  readonly queues: Queues;
  readonly counters: CounterSet;
}

/** Trace events by VM. */
export function trace(): Collector {
  let states = new Map<string, VmState>();
  let limits: readonly string[] = [];
  let missing: readonly SourceError[] = [];

  return {
    name: 'trace',
    get limits() {
      return limits;
    },
    get missing() {
      return missing;
    },
    async collect({ vms, families, settings, kernel, trace: read, stages, disks, yieldIfDue }, report) {
      const reading = await read();
      limits = reading.limits;
      missing = reading.missing;
      const kept = new Map<string, VmState>();
      for (const vm of vms) {
        await yieldIfDue();
        const state = states.get(vm.key) ?? { queues: new Queues(), counters: new CounterSet('wavering') };
        kept.set(vm.key, state);
        const { notifyAddresses = [] } = kernel.statistics.get(vm.key) ?? {};
        // All queues of a device share its port, and a guest that uses the addresses never writes to the port.
        state.queues.observe(notifyAddresses.filter(({ isPort }) => !isPort).map(writeTo));
        const counted = reading.of(vm);
        if (counted !== undefined) {
          const samples = samplesOf(families, vm, reading, state.counters);
          addEvents(samples, counted, visibilityOf(vm, kernel.statistics.get(vm.key)));
          addExits(samples, counted.exits ?? [], settings.vcpuReasons);
          addKicks(samples, counted.kicks ?? [], state.queues);
          addMsi(samples, counted.msi);
          addExitDurations(samples, counted.exitDurations);
          addBlockRequests(samples, counted, disks);
        }
        addQueues(families, vm, state.queues, stages);
        // Counters that are no longer read start from zero if they reappear.
        state.counters.forgetUnused();
      }
      states = kept;
      addState(families, reading);
      for (const problem of reading.problems) report(problem);
    },
  };
}

function samplesOf(
  families: Families,
  { label: vm }: Vm,
  { backend, isa, names }: TraceReading,
  counters: CounterSet,
): TraceSamples {
  const source = backend ?? '';
  return {
    families,
    vm,
    isa,
    names,
    total: (name, reading) => counters.one(name, source, reading),
    sum: (name, addends) => counters.take(name, source, addends),
  };
}

function addEvents(
  { families, vm, isa, total }: TraceSamples,
  counted: VmTrace,
  visibility: Visibility,
): void {
  for (const [event, count] of counted.events) {
    families.add('kvm_vm_trace_events_total', { vm, event }, total(`event ${event}`, count));
  }
  for (const [step, count] of stepsOf(counted, isa, visibility)) {
    families.add('kvm_vm_io_path_events_total', { vm, step }, total(`step ${step}`, count));
  }
  if (counted.lockContentionNs === undefined) return;
  const seconds = total('lock contention', counted.lockContentionNs) / NSEC_PER_SEC;
  families.add('kvm_vm_lock_contention_seconds_total', { vm }, seconds);
}

/** The virtqueues with an address of their own, and the ports that have been kicked so far. */
function addQueues(families: Families, vm: Vm, queues: Queues, stages: Stages): void {
  for (const { index, address, number, isPort } of queues.known) {
    const device = stages.deviceAt(vm, number, isPort) ?? '';
    families.add('kvm_virtqueue_info', { vm: vm.label, queue: index, address, device }, 1);
  }
}

function addState(families: Families, { backend, sets, costRatio, costFactor }: TraceReading): void {
  if (backend === undefined) return;
  families.add('kvm_telemetry_trace_backend_info', { backend }, 1);
  if (costRatio !== undefined) families.add('kvm_telemetry_trace_cost_ratio', {}, costRatio);
  if (costFactor !== undefined) families.add('kvm_telemetry_trace_cost_factor', {}, costFactor);
  for (const { set, entries, dropped, activeRatio, sampledRatio } of sets) {
    const labels = families.block({ set });
    families.add('kvm_telemetry_trace_dropped_total', labels, dropped);
    families.add('kvm_telemetry_trace_map_entries', labels, entries);
    families.add('kvm_telemetry_trace_active_ratio', labels, activeRatio);
    if (sampledRatio !== undefined) families.add('kvm_telemetry_trace_sampled_ratio', labels, sampledRatio);
  }
}
