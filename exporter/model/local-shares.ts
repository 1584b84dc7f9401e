import type { VmAffinity } from './affinity-reading.ts';
import { shareOn } from './numa.ts';
import type { ObservedVm } from './observed.ts';
import { IO_THREAD_ROLES } from './roles.ts';
import type { TopologyFacts } from './topology-facts.ts';

/** Shares of local memory and local completions, 0 to 1; undefined if unknown. */
export function localSharesOf(
  { threads, memory, interruptCpus }: Pick<ObservedVm, 'threads' | 'memory' | 'interruptCpus'>,
  facts: TopologyFacts,
): Pick<VmAffinity, 'memoryLocal' | 'completions'> {
  const vcpus = threads.filter(({ role }) => role === 'vcpu').flatMap(({ seenOn }) => seenOn);
  const nodes = facts.memoryNear(facts.nodes(vcpus));
  const io = threads.filter(({ role }) => IO_THREAD_ROLES.has(role)).flatMap(({ seenOn }) => seenOn);
  const takers = new Set(interruptCpus);
  const takerNodes = facts.nodes(interruptCpus);
  const share = (isLocal: (cpu: number) => boolean): number | undefined =>
    takers.size === 0 || io.length === 0 ? undefined : io.filter(isLocal).length / io.length;
  return {
    memoryLocal: memory === undefined || nodes.length === 0 ? undefined : shareOn(memory, nodes),
    completions: {
      cpu: share((cpu) => takers.has(cpu)),
      node: share((cpu) => takerNodes.some((node) => facts.nodes([cpu]).includes(node))),
    },
  };
}
