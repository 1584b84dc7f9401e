import type { ObservedVm } from './observed.ts';
import { type CpuMask, isWithin, type TopologyFacts } from './topology-facts.ts';

/**
 * Whether somebody pins a thread that has this mask. A mask is no pin when it has all CPUs that the thread would have
 * anyway: isolcpus=, CPUAffinity= and a cpuset narrow what every process gets.
 *
 * @returns undefined where nothing tells
 */
export function isPin(
  mask: CpuMask,
  { unpinned, threads }: Pick<ObservedVm, 'unpinned'> & { readonly threads: readonly Allowed[] },
  facts: TopologyFacts,
): boolean | undefined {
  if (!mask.isPart) return false;
  if (unpinned === undefined) return true;
  const lacks = (cpus: readonly number[]): boolean => !isWithin(facts.mask(cpus).online, mask.online);
  if (unpinned !== 'unknown') return lacks(unpinned);
  // A cgroup gives all its threads the same CPUs: somebody told these apart.
  return threads.some(({ allowed }) => lacks(allowed)) ? true : undefined;
}

interface Allowed {
  readonly allowed: readonly number[];
}

/**
 * What a VM's threads get when nobody pins them: the CPUs of the host's first process, as far as the VM's cgroup allows.
 *
 * @param init the mask of the first process; undefined where it cannot be read
 * @param cpuset the CPUs of the VM's cgroup; undefined where no cgroup confines it
 */
export function unpinnedCpus(
  init: readonly number[] | undefined,
  cpuset: readonly number[] | undefined,
  facts: TopologyFacts,
): readonly number[] {
  const { cpus } = facts.topology;
  const free = cpus.filter(({ isolated }) => !isolated).map(({ cpu }) => cpu);
  const all = cpus.map(({ cpu }) => cpu);
  const usual = [facts.mask(init ?? []).online, free].find((each) => each.length > 0) ?? all;
  if (cpuset === undefined) return usual;
  // A cpuset of isolated CPUs: who is put there leaves the usual ones.
  const allowed = new Set(cpuset);
  const both = usual.filter((cpu) => allowed.has(cpu));
  return both.length > 0 ? both : facts.mask(cpuset).online;
}
