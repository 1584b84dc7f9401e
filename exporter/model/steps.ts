import type { Feature } from './features.ts';
import { commandFor, IO_ROLES, type ObservedThread, type ObservedVm } from './observed.ts';
import { LADDER, type StageRule } from './stage.ts';
import type { VmStage } from './stage-reading.ts';
import type { Vm } from './vm.ts';

/** What is missing for the next stage of the methodology, and what would bring it. */
export interface Step {
  readonly missing: string;
  readonly fixes: readonly string[];
}

/** QEMU's own default, so what is asked for is known to be harmless. */
const POLL_MAX_NS = 32_768;

/** The next stage's rule; undefined where the last one is reached. */
export function nextRule({ detected }: VmStage): StageRule | undefined {
  return LADDER[LADDER.findIndex(({ stage }) => stage === detected) + 1];
}

/**
 * What keeps a VM from the next stage. Commands are complete where one can act on the running VM; what only a start can
 * change is told as the option to start with.
 *
 * @param free CPUs on which no thread of any VM has its place, the best first
 */
export function stepsTo(
  rule: StageRule,
  vm: Vm,
  observed: ObservedVm,
  stage: VmStage,
  free: readonly number[],
): Step[] {
  const isOn = (feature: Feature): boolean => stage.features.get(feature) === 1;
  const missing: Feature[] = [
    ...rule.all.filter((feature) => !isOn(feature)),
    ...(rule.any.some(isOn) ? [] : rule.any.slice(0, 1)),
    ...rule.unless.filter((feature) => stage.features.get(feature) === 0),
  ];
  if (missing.length === 0) {
    const fix = 'look at kvm_vm_io_path_events_total and kvm_vm_queue_locality_ratio under load';
    return [{ missing: 'what is measured speaks against it', fixes: [fix] }];
  }
  const plan = new Plan(observed, free);
  return missing.map((feature) => ({ missing: feature, fixes: fixesOf(feature, vm, observed, plan) }));
}

function fixesOf(feature: Feature, vm: Vm, observed: ObservedVm, plan: Plan): string[] {
  const vcpus = observed.threads.filter(({ role }) => role === 'vcpu');
  switch (feature) {
    case 'vcpus_pinned':
      return plan.pin(vcpus);
    case 'io_threads_pinned':
    case 'io_separate_from_vcpus':
      return plan.pin(observed.threads.filter(({ role }) => IO_ROLES.has(role)));
    case 'numa_local':
      return [
        'start it with memory, vCPUs and I/O threads on the node of its disk: numactl --membind, or <numatune> of libvirt',
      ];
    case 'iothread_polling':
    case 'sqpoll':
      return [polling(vm, observed)];
    case 'multiqueue':
    case 'queue_per_vcpu':
      return [`start it with num-queues=${vcpus.length}; libvirt: <driver queues='${vcpus.length}'/>`];
    case 'dedicated_iothreads':
    case 'iothread_vq_mapping':
      return [
        "start it with an IOThread for each disk: -object iothread,id=io1 -device virtio-blk-pci,iothread=io1; libvirt: <driver iothread='1'/>",
      ];
    default:
      return [];
  }
}

/** Gives each thread a CPU that nobody else has. */
class Plan {
  #next = 0;

  constructor(
    private readonly observed: ObservedVm,
    private readonly free: readonly number[],
  ) {}

  pin(threads: readonly ObservedThread[]): string[] {
    if (threads.length === 0) return ['it has no such threads, or they are not known'];
    if (this.#next + threads.length > this.free.length) return ['the host has no CPUs left that nobody uses'];
    return threads.map((thread) => commandFor(this.observed, thread, [this.free[this.#next++] ?? 0]));
  }
}

function polling(vm: Vm, { domain, threads }: ObservedVm): string {
  const ids = [...vm.iothreadIds];
  const id = ids[0] ?? threads.find(({ role }) => role === 'iothread')?.label.replace('iothread:', '');
  if (id === undefined)
    return 'start with an IOThread: -object iothread,id=io0 (libvirt: <iothreads>1</iothreads>)';
  const number = /^iothread(\d+)$/.exec(id)?.[1];
  if (domain !== '' && number !== undefined) {
    return `virsh iothreadset ${domain} ${number} --poll-max-ns ${POLL_MAX_NS} --live`;
  }
  return `QMP {"execute":"qom-set","arguments":{"path":"/objects/${id}","property":"poll-max-ns","value":${POLL_MAX_NS}}}`;
}
