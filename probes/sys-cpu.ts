import { parseCpuList } from './cpu-list.ts';
import { wholeDecimal } from './decimal.ts';
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
  /** SMT siblings, this CPU among them. */
  readonly siblings: readonly number[];
  /** Taken from the scheduler by isolcpus=. */
  readonly isolated: boolean;
}

export interface CpuTopology {
  /** Online CPUs, ascending. */
  readonly cpus: readonly Cpu[];
  /** Node numbers, ascending; empty on a kernel without NUMA. */
  readonly nodes: readonly number[];
  /** The NUMA node of each online CPU that has one. */
  readonly nodeOf: ReadonlyMap<number, number>;
}

/**
 * `/sys/devices/system/cpu` and `/sys/devices/system/node`.
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
    for (const cpu of parseCpuList(host.attribute(`${base}/node/node${node}/cpulist`))) nodeOf.set(cpu, node);
  }
  const cpus = online.map((cpu): Cpu => {
    const topology = `${base}/cpu/cpu${cpu}/topology`;
    const siblings = parseCpuList(optional(host, `${topology}/thread_siblings_list`));
    return {
      cpu,
      package: number(host, `${topology}/physical_package_id`),
      core: number(host, `${topology}/core_id`),
      node: nodeOf.get(cpu),
      siblings: siblings.length > 0 ? siblings : [cpu],
      isolated: isolated.has(cpu),
    };
  });
  return { cpus, nodes, nodeOf };
}

/** The online list alone: when it is unchanged, so is the topology. */
export function readOnlineCpus(host: Host): string {
  return host.attribute(`${host.roots.sysfs}/devices/system/cpu/online`);
}

function optional(host: Host, path: string): string {
  return ifThere(() => host.attribute(path)) ?? '';
}

/** Some virtual machines give -1 or no file: 0, as the kernel's own users assume. */
function number(host: Host, path: string): number {
  const text = optional(host, path).trim();
  if (text === '' || text === '-1') return 0;
  const value = wholeDecimal(text);
  if (value === undefined) throw malformed(path, text);
  return value;
}
