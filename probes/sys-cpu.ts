import { wholeDecimal } from '../kernel/decimal.ts';
import { parseCpuList } from './cpu-list.ts';
import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface Cpu {
  readonly cpu: number;
  /** physical_package_id. */
  readonly package: number;
  /** core_id, unique within its package. */
  readonly core: number;
  /** NUMA node; undefined on a kernel without NUMA. */
  readonly node: number | undefined;
  /** SMT siblings, including this CPU. */
  readonly siblings: readonly number[];
  /** Isolated from the scheduler with isolcpus=. */
  readonly isolated: boolean;
  /** Relative to the fastest CPUs, which have 1024; missing if the kernel does not report it. Hybrid CPUs have several values. */
  readonly capacity?: number;
}

export interface CpuTopology {
  /** Online CPUs, ascending. */
  readonly cpus: readonly Cpu[];
  /** Node numbers, ascending; empty on a kernel without NUMA. */
  readonly nodes: readonly number[];
  /** NUMA node of each online CPU that has one. */
  readonly nodeOf: ReadonlyMap<number, number>;
  /** Nodes with memory. A node may have only CPUs, or only memory. */
  readonly memoryNodes: readonly number[];
  /** NUMA distances between nodes; 10 is the node itself. Empty if the kernel does not report them. */
  readonly distances: ReadonlyMap<number, ReadonlyMap<number, number>>;
}

/**
 * Reads `/sys/devices/system/cpu` and `/sys/devices/system/node`.
 *
 * @throws SourceError
 * @see https://docs.kernel.org/admin-guide/cputopology.html
 */
export function readCpuTopology(host: Host): CpuTopology {
  const base = `${host.roots.sysfs}/devices/system`;
  const online = parseCpuList(host.attribute(`${base}/cpu/online`));
  const isolated = new Set(parseCpuList(optional(host, `${base}/cpu/isolated`)));
  const nodeOf = new Map<number, number>();
  const nodes = parseCpuList(optional(host, `${base}/node/online`));
  for (const node of nodes) {
    // A node of memory alone can be removed at any time.
    for (const cpu of parseCpuList(optional(host, `${base}/node/node${node}/cpulist`))) nodeOf.set(cpu, node);
  }
  const cpus = online.map((cpu): Cpu => {
    const topology = `${base}/cpu/cpu${cpu}/topology`;
    const siblings = parseCpuList(optional(host, `${topology}/thread_siblings_list`));
    const capacity = wholeDecimal(optional(host, `${base}/cpu/cpu${cpu}/cpu_capacity`).trim());
    return {
      cpu,
      package: number(host, `${topology}/physical_package_id`),
      core: number(host, `${topology}/core_id`),
      node: nodeOf.get(cpu),
      siblings: siblings.length > 0 ? siblings : [cpu],
      isolated: isolated.has(cpu),
      ...(capacity === undefined ? {} : { capacity }),
    };
  });
  const memory = optional(host, `${base}/node/has_memory`);
  const memoryNodes = memory === '' ? nodes : parseCpuList(memory);
  return { cpus, nodes, nodeOf, memoryNodes, distances: readDistances(host, nodes) };
}

/** `node<N>/distance` has one number per online node, in order. */
function readDistances(host: Host, nodes: readonly number[]): Map<number, Map<number, number>> {
  const distances = new Map<number, Map<number, number>>();
  for (const node of nodes) {
    const words = optional(host, `${host.roots.sysfs}/devices/system/node/node${node}/distance`)
      .trim()
      .split(/\s+/);
    const numbers = words.flatMap((word) => wholeDecimal(word) ?? []);
    if (numbers.length === nodes.length)
      distances.set(node, new Map(nodes.map((other, i) => [other, numbers[i] ?? 0])));
  }
  return distances;
}

/** Changes with online CPUs, nodes and isolation: the topology is read again only then. */
export function readTopologyMark(host: Host): string {
  const base = `${host.roots.sysfs}/devices/system`;
  const rest = ['cpu/isolated', 'node/online', 'node/has_memory', 'node/has_cpu'];
  const online = host.attribute(`${base}/cpu/online`);
  return [online, ...rest.map((file) => optional(host, `${base}/${file}`))].join('|');
}

/** CPUs without the scheduler's tick (nohz_full=). Empty on a kernel without CONFIG_NO_HZ_FULL. @throws SourceError */
export function readNohzFull(host: Host): number[] {
  const text = optional(host, `${host.roots.sysfs}/devices/system/cpu/nohz_full`).trim();
  // drivers/base/cpu.c print_cpus_nohz_full(): a mask that was never set.
  return text === '(null)' ? [] : parseCpuList(text);
}

/** How many CPUs this kernel can ever have online: nr_cpu_ids. @throws SourceError */
export function readPossibleCpus(host: Host): number {
  return (parseCpuList(host.attribute(`${host.roots.sysfs}/devices/system/cpu/possible`)).at(-1) ?? 0) + 1;
}

function optional(host: Host, path: string): string {
  return ifThere(() => host.attribute(path)) ?? '';
}

/** On some virtual machines the file contains -1 or is missing: use 0, as other users of the file do. */
function number(host: Host, path: string): number {
  const text = optional(host, path).trim();
  if (text === '' || text === '-1') return 0;
  const value = wholeDecimal(text);
  if (value === undefined) throw malformed(path, text);
  return value;
}
