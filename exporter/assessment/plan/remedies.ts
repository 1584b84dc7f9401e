import type { Feature } from '../../model/features.ts';
import type { ObservedThread } from '../../model/observed.ts';
import { ioThreadsOf, isMet, type PLACED } from './improvement.ts';
import type { VmPlan } from './plan.ts';

/** A feature that a VM does not have, and its fixes. */
export interface Remedy {
  readonly missing: string;
  /** Commands of the plan, or what to change before the next start of the VM. */
  readonly fixes: readonly string[];
}

/** The features that a VM does not have, as views of its plan. */
export function remediesFor(missing: readonly Feature[], plan: VmPlan): Remedy[] {
  if (missing.length === 0) {
    const fix = 'check kvm_vm_io_path_events_total and kvm_vm_queue_locality_ratio under load';
    return [{ missing: 'measurements that confirm the features', fixes: [fix] }];
  }
  return missing.map((feature) => ({ missing: feature, fixes: fixesOf(feature, plan) }));
}

function fixesOf(feature: Feature, plan: VmPlan): readonly string[] {
  const vcpus = plan.draft.vm.threads.filter(({ role }) => role === 'vcpu').length;
  switch (feature) {
    case 'vcpus_pinned':
    case 'io_threads_pinned':
    case 'io_separate_from_vcpus':
    case 'numa_local':
      return placing(feature, plan);
    case 'iothread_polling':
    case 'sqpoll':
      return polling(plan);
    case 'multiqueue':
      return [queues(Math.max(2, vcpus))];
    case 'queue_per_vcpu':
      return [queues(Math.max(1, vcpus))];
    case 'dedicated_iothreads':
    case 'iothread_vq_mapping':
      return [
        "restart the VM with an IOThread per disk: -object iothread,id=io1 -device virtio-blk-pci,iothread=io1; libvirt: <driver iothread='1'/>",
      ];
    default:
      return [];
  }
}

const UNKNOWN = ['unknown: the VM has no such threads, or the exporter cannot identify them'];
const NO_CPUS = ['none: no permitted CPU is free'];
const NOTHING = ['none: no thread has to move'];
const RESTART = [
  "restart the VM with its vCPUs and I/O threads on the NUMA node of its disk, and its memory on the nearest node with memory: numactl --membind, or libvirt's <numatune>",
];

function placing(feature: (typeof PLACED)[number], plan: VmPlan): readonly string[] {
  const { draft, steps } = plan;
  const { threads } = draft.vm;
  const vcpus = threads.filter(({ role }) => role === 'vcpu');
  const io = ioThreadsOf(threads);
  const commandsOf = (some: readonly ObservedThread[]): string[] =>
    some.flatMap((thread) => plan.stepOf(draft.vm.vm, thread.label)?.command ?? []);
  if (feature === 'numa_local') {
    const memory = steps.filter(({ what }) => what === 'memory').map(({ command }) => command);
    const all = [...commandsOf([...vcpus, ...io]), ...memory];
    return isMet(draft, feature) && all.length > 0 ? all : RESTART;
  }
  const own = feature === 'vcpus_pinned' ? vcpus : io;
  if (own.length === 0 || vcpus.length === 0) return UNKNOWN;
  if (!isMet(draft, feature)) return NO_CPUS;
  const commands = commandsOf(own);
  // If only the vCPUs move, their commands separate them from the I/O threads.
  return [commands, commandsOf(vcpus)].find((each) => each.length > 0) ?? NOTHING;
}

function polling({ steps }: VmPlan): readonly string[] {
  const commands = steps.filter(({ what }) => what === 'polling').map(({ command }) => command);
  if (commands.length > 0) return commands;
  return ['restart the VM with an IOThread: -object iothread,id=io0; libvirt: <iothreads>1</iothreads>'];
}

function queues(count: number): string {
  return `restart the VM with num-queues=${count}; libvirt: <driver queues='${count}'/>`;
}
