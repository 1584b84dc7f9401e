import { mainNodesOf } from './numa.ts';
import type { ObservedThread, ObservedVm } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';
import type { TopologyFacts } from './topology-facts.ts';

/** The facts of a VM that decide the right nodes of its threads. */
export type NodeFacts = Pick<ObservedVm, 'memory' | 'deviceNodes' | 'interruptCpus' | 'takersOf'>;

/**
 * Compares the nodes on which a thread runs, or may run, with the nodes of its VM's memory; for an I/O thread
 * also with the nodes of the disks' block devices and of the CPUs that take their interrupts. A thread
 * crosses nodes if it is on none of them and some placement would fix that. For a node without memory the
 * nearest nodes with memory count, and for a node without CPUs the nearest nodes with CPUs.
 *
 * @returns the reason with the nodes; undefined if the thread crosses none
 */
export function crossingOf(
  vm: NodeFacts,
  thread: Pick<ObservedThread, 'role' | 'seenOn' | 'allowed'>,
  facts: TopologyFacts,
): string | undefined {
  const isIo = IO_THREAD_ROLES.has(thread.role);
  if (facts.topology.nodes.length < 2 || (thread.role !== 'vcpu' && !isIo)) return undefined;
  const cpus = thread.seenOn.length > 0 ? thread.seenOn : facts.mask(thread.allowed).online;
  const here = facts.nodes(cpus);
  if (here.length === 0) return undefined;
  const memory = vm.memory === undefined ? [] : mainNodesOf(vm.memory);
  const devices = isIo ? facts.cpusNear(vm.deviceNodes) : [];
  const wrong = [
    ...away(facts.memoryNear(here), memory, "its VM's memory is on"),
    ...away(here, devices, 'the device is on'),
    ...away(here, isIo ? interruptNodes(vm, devices, facts) : [], 'its interrupts go to'),
  ];
  if (wrong.length === 0) return undefined;
  return `on ${nodeText(here)} (CPUs ${facts.mask(cpus).text}), but ${wrong.join(', ')}`;
}

/**
 * The nodes whose CPUs take the interrupts. The kernel spreads NVMe interrupts and they cannot be moved: if
 * no CPU near the device completes requests on its own node, no placement helps and the result is empty.
 */
function interruptNodes(vm: NodeFacts, devices: readonly number[], facts: TopologyFacts): readonly number[] {
  const nodes = facts.nodes(vm.interruptCpus);
  if (nodes.length === 0) return nodes;
  const isLocal = facts.topology.cpus.some(({ cpu, node }) => {
    const isThere = node !== undefined && (devices.length === 0 || devices.includes(node));
    return isThere && facts.nodes(vm.takersOf(cpu)).includes(node);
  });
  return isLocal ? nodes : [];
}

function away(here: readonly number[], there: readonly number[], what: string): string[] {
  return there.length === 0 || there.some((node) => here.includes(node))
    ? []
    : [`${what} ${nodeText(there)}`];
}

function nodeText(nodes: readonly number[]): string {
  return `${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(',')}`;
}
