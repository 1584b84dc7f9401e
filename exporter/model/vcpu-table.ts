import type { StatisticType } from '../../probes/qmp-stats.ts';

/** KVM's statistics of a VM's vCPUs: a row for each vCPU, a column for each statistic. A Map for each vCPU costs ten times as much. */
export interface VcpuTable {
  /** Names of the columns. Sources that always have the same names share one array. */
  readonly names: readonly string[];
  /** The vCPU's index for each row. */
  readonly indexes: readonly number[];
  /** Row after row; NaN where a vCPU does not have the statistic. */
  readonly values: Float64Array;
}

export const NO_VCPUS: VcpuTable = { names: [], indexes: [], values: new Float64Array() };

/** @param vcpus statistics by name, by index of the vCPU */
export function vcpuTable(vcpus: Iterable<readonly [number, ReadonlyMap<string, number>]>): VcpuTable {
  const rows = [...vcpus];
  const names: string[] = [];
  for (const [, statistics] of rows) {
    // Nearly always all vCPUs have the same.
    if (statistics.size === names.length && names.every((name) => statistics.has(name))) continue;
    const known = new Set(names);
    for (const name of statistics.keys()) if (!known.has(name)) names.push(name);
  }
  const values = rows.flatMap(([, statistics]) => names.map((name) => statistics.get(name) ?? Number.NaN));
  return { names, indexes: rows.map(([index]) => index), values: Float64Array.from(values) };
}

/** Sums over the vCPUs by column, as debugfs shows a VM; NaN if no vCPU has the statistic. A peak is the maximum of the vCPUs. */
export function totalsOf(
  { names, values }: VcpuTable,
  types: ReadonlyMap<string, StatisticType>,
): Float64Array {
  const totals = new Float64Array(names.length).fill(Number.NaN);
  const isPeak = names.map((name) => types.get(name) === 'peak');
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const column = at % names.length;
    const before = totals[column] ?? Number.NaN;
    if (Number.isNaN(before)) totals[column] = value;
    else totals[column] = isPeak[column] ? Math.max(before, value) : before + value;
  }
  return totals;
}
