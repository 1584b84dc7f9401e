export interface SimCpu {
  readonly cpu: number;
  readonly node: number;
  readonly core: number;
  /** CPUs of the same core, including this one; ascending. */
  readonly siblings: readonly number[];
}

export interface Topology {
  readonly cpus: readonly SimCpu[];
  /** CPUs of each node. */
  readonly nodes: readonly (readonly number[])[];
}

/**
 * CPUs numbered as by Linux on Intel machines: first one thread of every core, node by node, then the second
 * threads.
 * @param cpus the paper's machine has 32 on 2 nodes (6: "2 CPUs with 16 cores each")
 */
export function topology(cpus = 32, nodes = 2, threadsPerCore = 2): Topology {
  const cores = Math.ceil(cpus / threadsPerCore);
  const coresPerNode = Math.ceil(cores / nodes);
  const all = Array.from({ length: cpus }, (_, cpu): SimCpu => {
    const core = cpu % cores;
    const siblings = Array.from({ length: threadsPerCore }, (_, thread) => core + thread * cores);
    return {
      cpu,
      core: core % coresPerNode,
      node: Math.floor(core / coresPerNode),
      siblings: siblings.filter((sibling) => sibling < cpus),
    };
  });
  return {
    cpus: all,
    nodes: Array.from({ length: nodes }, (_, node) =>
      all.filter((each) => each.node === node).map(({ cpu }) => cpu),
    ),
  };
}

/**
 * Formats a mask of this many bits as lib/bitmap-str.c does: words of 32 bits in hexadecimal, the highest
 * first.
 */
export function cpuMask(cpus: readonly number[], bits: number): string {
  const words = new Array<number>(Math.ceil(bits / 32)).fill(0);
  for (const cpu of cpus) words[cpu >> 5] = ((words[cpu >> 5] ?? 0) | (1 << (cpu & 31))) >>> 0;
  const width = (word: number): number => Math.ceil(Math.min(32, bits - word * 32) / 4);
  return words
    .map((word, i) => word.toString(16).padStart(width(i), '0'))
    .reverse()
    .join(',');
}
