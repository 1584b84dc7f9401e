import type { Feature } from './features.ts';
import { argumentFor, commandFor, type ObservedThread, type ObservedVm, permitted } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';
import { STAGE_RULES, type StageRule } from './stage.ts';
import type { VmStage } from './stage-reading.ts';
import type { Vm } from './vm.ts';

/** One condition of the next stage that the VM does not meet, and its fixes. */
export interface Remedy {
  readonly missing: string;
  readonly fixes: readonly string[];
}

/** QEMU's own default, so it is known to be harmless. */
const POLL_MAX_NS = 32_768;

/** The rule of the next stage; undefined in the last stage. */
export function nextRule({ detected }: VmStage): StageRule | undefined {
  return STAGE_RULES[STAGE_RULES.findIndex(({ stage }) => stage === detected) + 1];
}

/**
 * The conditions of the next stage that a VM does not meet. A fix for the running VM is a complete command. A fix that needs a
 * restart is the option to start the VM with.
 *
 * @param free CPUs to which no thread of any VM is confined, the best first
 */
export function remediesFor(
  rule: StageRule,
  vm: Vm,
  observed: ObservedVm,
  stage: VmStage,
  free: readonly number[],
): Remedy[] {
  const isOn = (feature: Feature): boolean => stage.features.get(feature) === 1;
  const missing: Feature[] = [
    ...rule.all.filter((feature) => !isOn(feature)),
    ...(rule.any.some(isOn) ? [] : rule.any.slice(0, 1)),
    ...rule.unless.filter((feature) => stage.features.get(feature) === 0),
  ];
  if (missing.length === 0) {
    const fix = 'check kvm_vm_io_path_events_total and kvm_vm_queue_locality_ratio under load';
    return [{ missing: 'measurements that confirm the features', fixes: [fix] }];
  }
  const plan = new Plan(observed, isOn('vcpus_pinned'), free);
  return missing.map((feature) => ({ missing: feature, fixes: fixesOf(feature, vm, observed, plan) }));
}

function fixesOf(feature: Feature, vm: Vm, observed: ObservedVm, plan: Plan): readonly string[] {
  const vcpus = observed.threads.filter(({ role }) => role === 'vcpu').length;
  switch (feature) {
    case 'vcpus_pinned':
      return plan.pinVcpus();
    case 'io_threads_pinned':
      return plan.pinIo();
    case 'io_separate_from_vcpus':
      return plan.separateIo();
    case 'numa_local':
      return [
        "restart the VM with its vCPUs and I/O threads on the NUMA node of its disk, and its memory on the nearest node with memory: numactl --membind, or libvirt's <numatune>",
      ];
    case 'iothread_polling':
    case 'sqpoll':
      return polling(vm, observed);
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

/** In a VM without I/O threads the emulator does the I/O. */
export function ioThreadsOf(threads: readonly ObservedThread[]): readonly ObservedThread[] {
  const io = threads.filter(({ role }) => IO_THREAD_ROLES.has(role));
  return io.length > 0 ? io : threads.filter(({ role }) => role === 'emulator');
}

/** Assigns a CPU of its own to each thread that has none. A thread gets the same CPU in every step. */
class Plan {
  readonly #commands = new Map<ObservedThread, string>();
  readonly #vcpus: readonly ObservedThread[];
  readonly #io: readonly ObservedThread[];
  /** CPUs of the vCPUs that do not move. */
  readonly #ofVcpus: ReadonlySet<number>;
  #free: readonly number[];

  constructor(
    private readonly observed: ObservedVm,
    arePinned: boolean,
    free: readonly number[],
  ) {
    this.#vcpus = observed.threads.filter(({ role }) => role === 'vcpu');
    this.#io = ioThreadsOf(observed.threads);
    const staying = this.#vcpus.filter((vcpu) => arePinned || isAlone(vcpu));
    this.#ofVcpus = new Set(staying.flatMap(({ allowed }) => allowed));
    this.#free = free;
  }

  pinVcpus(): readonly string[] {
    if (this.#vcpus.length === 0) return UNKNOWN;
    return this.#pin(this.#vcpus.filter((vcpu) => !isAlone(vcpu))) ?? NO_CPUS;
  }

  pinIo(): readonly string[] {
    if (this.#io.length === 0) return UNKNOWN;
    return this.#pin(this.#io.filter((thread) => !isAlone(thread))) ?? NO_CPUS;
  }

  separateIo(): readonly string[] {
    if (this.#io.length === 0 || this.#vcpus.length === 0) return UNKNOWN;
    const among = this.#io.filter(
      (thread) => !isAlone(thread) || thread.allowed.some((cpu) => this.#ofVcpus.has(cpu)),
    );
    return among.length === 0
      ? ['none of its own: pinning the vCPUs separates them']
      : (this.#pin(among) ?? NO_CPUS);
  }

  #pin(threads: readonly ObservedThread[]): readonly string[] | undefined {
    if (threads.length === 0) return undefined;
    const fresh = threads.filter((thread) => !this.#commands.has(thread));
    let free = this.#free.filter((cpu) => !this.#ofVcpus.has(cpu));
    const commands = new Map<ObservedThread, string>();
    const taken = new Set<number>();
    for (const thread of fresh) {
      const [cpu] = permitted(this.observed, thread, free);
      const command = cpu === undefined ? undefined : commandFor(this.observed, thread, [cpu]);
      if (cpu === undefined || command === undefined) return undefined;
      commands.set(thread, command);
      taken.add(cpu);
      free = free.filter((each) => each !== cpu);
    }
    for (const [thread, command] of commands) this.#commands.set(thread, command);
    this.#free = this.#free.filter((cpu) => !taken.has(cpu));
    return threads.flatMap((thread) => this.#commands.get(thread) ?? []);
  }
}

const UNKNOWN = ['unknown: the VM has no such threads, or the exporter cannot identify them'];
const NO_CPUS = ['none: no permitted CPU is free'];

function isAlone({ allowed }: ObservedThread): boolean {
  return allowed.length === 1;
}

function queues(count: number): string {
  return `restart the VM with num-queues=${count}; libvirt: <driver queues='${count}'/>`;
}

/** One fix per IOThread: a single IOThread that does not poll turns the feature off. */
function polling({ iothreadIds }: Vm, observed: ObservedVm): string[] {
  const seen = observed.threads
    .filter(({ role }) => role === 'iothread')
    .map(({ label }) => label.replace('iothread:', ''));
  const ids = iothreadIds.length > 0 ? iothreadIds : seen;
  if (ids.length === 0)
    return ['restart the VM with an IOThread: -object iothread,id=io0; libvirt: <iothreads>1</iothreads>'];
  return ids.map((id) => {
    const number = /^iothread(\d+)$/.exec(id)?.[1];
    if (observed.domain !== '' && number !== undefined) {
      return `virsh iothreadset ${argumentFor(observed)} ${number} --poll-max-ns ${POLL_MAX_NS} --live`;
    }
    const set = { path: `/objects/${id}`, property: 'poll-max-ns', value: POLL_MAX_NS };
    return `QMP ${JSON.stringify({ execute: 'qom-set', arguments: set })}`;
  });
}
