import { mainNodesOf } from './numa.ts';
import { commandFor, IO_ROLES, type ObservedThread, type ObservedVm } from './observed.ts';
import type { Places } from './places.ts';

/** A thread on another node than what it works on. */
export interface Crossing {
  readonly why: string;
  readonly fix: string | undefined;
}

/**
 * The nodes on which a thread is seen, or may run, against the nodes of its VM's memory; for an I/O thread also of the
 * devices that carry the disks and of the CPUs that take their interrupts. Crossing is to be on none of them.
 */
export function crossingOf(vm: ObservedVm, thread: ObservedThread, places: Places): Crossing | undefined {
  const { facts } = places;
  const isIo = IO_ROLES.has(thread.role);
  if (facts.topology.nodes.length < 2 || (thread.role !== 'vcpu' && !isIo)) return undefined;
  const cpus = thread.seenOn.length > 0 ? thread.seenOn : facts.mask(thread.allowed).online;
  const here = facts.nodes(cpus);
  if (here.length === 0) return undefined;
  const memory = vm.memory === undefined ? [] : mainNodesOf(vm.memory);
  const devices = isIo ? vm.deviceNodes : [];
  const interrupts = isIo ? facts.nodes(vm.interruptCpus) : [];
  const wrong = [
    ...away(here, memory, "its VM's memory is on"),
    ...away(here, devices, 'the device is on'),
    ...away(here, interrupts, 'its interrupts go to'),
  ];
  if (wrong.length === 0) return undefined;
  const why = `on ${nodeText(here)} (CPUs ${facts.mask(cpus).text}), ${wrong.join(', ')}`;
  const target = [devices, memory, interrupts].find((nodes) => nodes.length > 0)?.[0];
  return { why, fix: fixFor(vm, thread, here, target, places) };
}

function away(here: readonly number[], there: readonly number[], what: string): string[] {
  return there.length === 0 || there.some((node) => here.includes(node))
    ? []
    : [`${what} ${nodeText(there)}`];
}

function nodeText(nodes: readonly number[]): string {
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(',')}`;
}

/** Where the thread already is with its device, memory follows; else the thread does, to a CPU that is free. */
function fixFor(
  vm: ObservedVm,
  thread: ObservedThread,
  here: readonly number[],
  target: number | undefined,
  places: Places,
): string | undefined {
  if (target === undefined) return undefined;
  const memory = vm.memory === undefined ? [] : mainNodesOf(vm.memory);
  if (!here.includes(target)) {
    const free = places.free(target);
    const { cpus } = places.facts.topology;
    const all = cpus.filter(({ node }) => node === target).map(({ cpu }) => cpu);
    return all.length === 0 ? undefined : commandFor(vm, thread, free === undefined ? all : [free]);
  }
  if (memory.length > 0 && !memory.includes(target))
    return `migratepages ${vm.pid} ${memory.join(',')} ${target}`;
  return `give the device's interrupts to node ${target}: /proc/irq/N/smp_affinity_list`;
}
