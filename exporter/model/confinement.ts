import type { ObservedVm } from './observed.ts';
import { type CpuMask, isWithin, type TopologyFacts } from './topology-facts.ts';

/**
 * Whether a thread with this mask is pinned. A mask with all CPUs that the thread would have anyway is not a
 * pin: isolcpus=, CPUAffinity= and cpusets narrow the affinity of every process.
 *
 * @returns undefined if unknown
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
  // A cgroup gives all its threads the same CPUs, so different masks mean that the threads are pinned.
  return threads.some(({ allowed }) => lacks(allowed)) ? true : undefined;
}

interface Allowed {
  readonly allowed: readonly number[];
}

/**
 * The CPUs of a VM's threads that are not pinned: the CPUs of the host's first process that the VM's cgroup
 * allows.
 *
 * @param init the affinity of the host's first process; undefined if it cannot be read
 * @param cpuset the CPUs of the VM's cgroup; undefined if no cgroup confines the VM
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
  // A cpuset of isolated CPUs shares none with the first process. Its threads run on all CPUs of the cpuset.
  const allowed = new Set(cpuset);
  const both = usual.filter((cpu) => allowed.has(cpu));
  return both.length > 0 ? both : facts.mask(cpuset).online;
}

/**
 * Whether a pin narrowed the mask. A CPU that goes offline and a cpuset also narrow masks, and widen them
 * again later.
 */
export function isNarrowed(
  cpus: readonly number[],
  before: readonly number[],
  cpuset: readonly number[] | undefined,
  { online }: TopologyFacts,
): boolean {
  if (cpus.length === 0 || cpus.length === before.length || !isWithin(cpus, before)) return false;
  const own = new Set(cpus);
  return before.some((cpu) => !own.has(cpu) && online.has(cpu) && cpuset?.includes(cpu) !== false);
}
