import type { CpuHolders } from './cpu-holders.ts';
import { mainNodesOf } from './numa.ts';
import { commandFor, type ObservedThread, type ObservedVm, permitted } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';

/** A thread that runs on another NUMA node than its memory, device or interrupts. */
export interface Crossing {
  readonly why: string;
  readonly fix: string | undefined;
}

/**
 * Compares the nodes on which a thread runs, or may run, with the nodes of its VM's memory; for an I/O thread
 * also with the nodes of the disks' block devices and of the CPUs that take their interrupts. A thread
 * crosses nodes if it is on none of them and some placement would fix that. For a node without memory the
 * nearest nodes with memory count, and for a node without CPUs the nearest nodes with CPUs.
 */
export function crossingOf(vm: ObservedVm, thread: ObservedThread, places: CpuHolders): Crossing | undefined {
  const { facts } = places;
  const isIo = IO_THREAD_ROLES.has(thread.role);
  if (facts.topology.nodes.length < 2 || (thread.role !== 'vcpu' && !isIo)) return undefined;
  const cpus = thread.seenOn.length > 0 ? thread.seenOn : facts.mask(thread.allowed).online;
  const here = facts.nodes(cpus);
  if (here.length === 0) return undefined;
  const memory = vm.memory === undefined ? [] : mainNodesOf(vm.memory);
  const devices = isIo ? facts.cpusNear(vm.deviceNodes) : [];
  const completions = isIo ? completionsOf(vm, devices, places) : { nodes: [], cpus: [] };
  const wrong = [
    ...away(facts.memoryNear(here), memory, "its VM's memory is on"),
    ...away(here, devices, 'the device is on'),
    ...away(here, completions.nodes, 'its interrupts go to'),
  ];
  if (wrong.length === 0) return undefined;
  const why = `on ${nodeText(here)} (CPUs ${facts.mask(cpus).text}), but ${wrong.join(', ')}`;
  const target = [devices, facts.cpusNear(memory), completions.nodes].find((nodes) => nodes.length > 0)?.[0];
  if (target === undefined) return { why, fix: undefined };
  if (!here.includes(target)) return { why, fix: moveTo(vm, thread, target, places) };
  const fix = memoryTo(vm, memory, facts.memoryNear([target]));
  return { why, fix: fix ?? commandFor(vm, thread, permitted(vm, thread, completions.cpus).slice(0, 1)) };
}

/**
 * The nodes whose CPUs take the interrupts, and the CPUs near the device whose requests complete on their own
 * node. The kernel spreads NVMe interrupts and they cannot be moved: if no CPU completes on its own node, no
 * placement helps and the result is empty.
 */
function completionsOf(
  vm: ObservedVm,
  devices: readonly number[],
  { facts }: CpuHolders,
): { readonly nodes: readonly number[]; readonly cpus: readonly number[] } {
  const nodes = facts.nodes(vm.interruptCpus);
  if (nodes.length === 0) return { nodes, cpus: [] };
  const local = facts.topology.cpus.filter(({ cpu, node }) => {
    const isThere = node !== undefined && (devices.length === 0 || devices.includes(node));
    return isThere && facts.nodes(vm.takersOf(cpu)).includes(node);
  });
  return local.length === 0 ? { nodes: [], cpus: [] } : { nodes, cpus: local.map(({ cpu }) => cpu) };
}

function away(here: readonly number[], there: readonly number[], what: string): string[] {
  return there.length === 0 || there.some((node) => here.includes(node))
    ? []
    : [`${what} ${nodeText(there)}`];
}

function nodeText(nodes: readonly number[]): string {
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(',')}`;
}

/**
 * Moves the thread to a free CPU of the node, else to all its CPUs that are not isolated: the scheduler does
 * not balance load between isolated CPUs.
 */
function moveTo(
  vm: ObservedVm,
  thread: ObservedThread,
  node: number,
  places: CpuHolders,
): string | undefined {
  const free = places.free({ vm, thread }, node);
  if (free !== undefined) return commandFor(vm, thread, [free]);
  const all = places.facts.topology.cpus.filter((cpu) => cpu.node === node && !cpu.isolated);
  return commandFor(
    vm,
    thread,
    all.map(({ cpu }) => cpu),
  );
}

/**
 * If the thread is already on the device's node, moves the memory to a node that has memory and that the VM
 * may use.
 */
function memoryTo(
  { pid, mems }: ObservedVm,
  from: readonly number[],
  to: readonly number[],
): string | undefined {
  const node = to.find((each) => mems === undefined || mems.includes(each));
  if (node === undefined || from.length === 0 || from.some((each) => to.includes(each))) return undefined;
  return `migratepages ${pid} ${from.join(',')} ${node}`;
}
