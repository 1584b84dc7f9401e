import type { Source } from '../exporter/model/expectation.ts';
import type { ObservedThread, ObservedVm } from '../exporter/model/observed.ts';
import { cpusOf, formatCpuList } from '../kernel/cpu-list.ts';
import type { CpuTopology } from '../probes/sys-cpu.ts';

/** The changes of a thread by a command. */
interface Pin {
  readonly cpus: readonly number[];
  /** libvirt remembers a pin that it sets. */
  readonly source: Source | undefined;
}

/**
 * Runs the commands of a plan on a model of a host, as Linux, libvirt and the daemon would.
 *
 * @throws Error for a command that Linux refuses
 */
export function run(
  topology: CpuTopology,
  vms: readonly ObservedVm[],
  commands: readonly string[],
): ObservedVm[] {
  return commands.reduce<ObservedVm[]>((now, command) => runOne(topology, now, command), [...vms]);
}

function runOne(topology: CpuTopology, vms: readonly ObservedVm[], command: string): ObservedVm[] {
  const words = command.split(' ');
  const [program, ...args] = words;
  const edit = (change: (vm: ObservedVm) => ObservedVm): ObservedVm[] => vms.map(change);
  if (program === 'taskset') {
    const [option, list = '', tid] = args;
    if (option !== '-pc') throw new Error(command);
    return edit((vm) => withThreads(topology, vm, ({ tid: id }) => id === Number(tid), list, 'taskset'));
  }
  if (program === 'virsh') return edit((vm) => virsh(topology, vm, args));
  if (program === 'migratepages') {
    const [pid, from = '', to = ''] = args;
    return edit((vm) => (vm.pid === Number(pid) ? withMemory(topology, vm, cpusOf(from) ?? [], to) : vm));
  }
  if (program === 'kvm-telemetry') {
    const [accept, name, ...threads] = args;
    if (accept !== 'accept') throw new Error(command);
    return edit((vm) => (vm.vm === name ? accepted(vm, threads) : vm));
  }
  throw new Error(`no such command: ${command}`);
}

function virsh(topology: CpuTopology, vm: ObservedVm, args: readonly string[]): ObservedVm {
  const [verb, domain, ...rest] = args;
  if (vm.domain !== domain) return vm;
  if (rest.at(-1) !== '--live') throw new Error(args.join(' '));
  if (verb === 'emulatorpin')
    return withThreads(topology, vm, ({ role }) => role === 'emulator', rest[0] ?? '', 'virsh');
  const [id, list = ''] = rest;
  const label = verb === 'vcpupin' ? `vcpu${id}` : `iothread:iothread${id}`;
  return withThreads(topology, vm, (thread) => thread.label === label, list, 'virsh');
}

function withThreads(
  topology: CpuTopology,
  vm: ObservedVm,
  isMeant: (thread: ObservedThread) => boolean,
  list: string,
  by: 'taskset' | 'virsh',
): ObservedVm {
  const cpus = cpusOf(list) ?? [];
  const online = new Set(topology.cpus.map(({ cpu }) => cpu));
  const source: Source | undefined = by === 'virsh' ? 'libvirt' : undefined;
  const threads = vm.threads.map((thread) => {
    if (!isMeant(thread)) return thread;
    const cpuset = by === 'virsh' ? vm.cpuset : (thread.cpuset ?? vm.cpuset);
    for (const cpu of cpus)
      if (!online.has(cpu) || cpuset?.includes(cpu) === false) throw new Error(`CPU ${cpu} is refused`);
    if (cpus.length === 0) throw new Error('no CPUs');
    return pinned(thread, { cpus, source }, (cpu) => online.has(cpu) && vm.cpuset?.includes(cpu) !== false);
  });
  const interruptCpus = threads.flatMap(({ role, seenOn, allowed }) =>
    ['iothread', 'vhost', 'sqpoll'].includes(role) ? (seenOn.length > 0 ? seenOn : allowed) : [],
  );
  const isInterrupted = vm.interruptCpus.length > 0;
  const takers = isInterrupted ? [...new Set(interruptCpus.flatMap((cpu) => vm.takersOf(cpu)))] : [];
  return { ...vm, threads, interruptCpus: takers };
}

/** A mask that lacks available CPUs of the baseline becomes the baseline; libvirt's pin replaces it. */
function pinned(
  thread: ObservedThread,
  { cpus, source }: Pin,
  isAvailable: (cpu: number) => boolean,
): ObservedThread {
  const { expectation } = thread;
  const isNarrower =
    expectation !== undefined &&
    cpus.every((cpu) => expectation.cpus.includes(cpu)) &&
    expectation.cpus.some((cpu) => isAvailable(cpu) && !cpus.includes(cpu));
  const isLearned = expectation?.source === 'unpinned' || (expectation?.source === 'baseline' && isNarrower);
  const keeps = expectation === undefined || expectation.source === 'config';
  return {
    ...thread,
    allowed: cpus,
    allowedList: formatCpuList(cpus),
    seenOn: cpus.length === 1 ? cpus : [],
    migrationsPerSecond: 0,
    expectation: keeps
      ? expectation
      : source !== undefined
        ? { cpus, source }
        : isLearned
          ? { cpus, source: 'baseline' }
          : expectation,
  };
}

function accepted(vm: ObservedVm, args: readonly string[]): ObservedVm {
  const wanted = new Map(
    args.map((arg) => [arg.slice(0, arg.lastIndexOf('=')), arg.slice(arg.lastIndexOf('=') + 1)]),
  );
  const threads = vm.threads.map((thread): ObservedThread => {
    const list = wanted.get(thread.label);
    const { expectation } = thread;
    if (list === undefined || expectation === undefined) return thread;
    if (expectation.source === 'config' || expectation.source === 'libvirt') return thread;
    if (list === 'any') return { ...thread, expectation: { cpus: thread.allowed, source: 'unpinned' } };
    return { ...thread, expectation: { cpus: cpusOf(list) ?? [], source: 'baseline' } };
  });
  return { ...vm, threads };
}

function withMemory(topology: CpuTopology, vm: ObservedVm, from: readonly number[], to: string): ObservedVm {
  const node = Number(to);
  if (!topology.memoryNodes.includes(node)) throw new Error(`node ${to} has no memory`);
  if (vm.mems?.includes(node) === false) throw new Error(`node ${to} is not allowed`);
  const memory = new Map(vm.memory);
  for (const each of from) {
    memory.set(node, (memory.get(node) ?? 0) + (memory.get(each) ?? 0));
    memory.delete(each);
  }
  return { ...vm, memory };
}
