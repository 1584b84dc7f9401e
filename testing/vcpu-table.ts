import type { VcpuTable } from '../exporter/model/vcpu-table.ts';
import { BUCKETS, HALT_HISTOGRAMS, VCPU_STATISTICS, type VcpuRow } from '../probes/bpf/kvm-rows.ts';

/** A statistic of a vCPU; undefined if the table does not have it. */
export function statisticOf(table: VcpuTable | undefined, vcpu: number, name: string): number | undefined {
  const [row, column] = [table?.indexes.indexOf(vcpu) ?? -1, table?.names.indexOf(name) ?? -1];
  if (table === undefined || row < 0 || column < 0) return undefined;
  const value = table.values[row * table.names.length + column] ?? Number.NaN;
  return Number.isNaN(value) ? undefined : value;
}

/** KVM's statistics of a row of BPF, by name. */
export function statisticsOfRow(row: VcpuRow | undefined): Map<string, number> {
  const values = new Float64Array(VCPU_STATISTICS.length).fill(Number.NaN);
  row?.addStatistics(values, 0);
  const pairs = VCPU_STATISTICS.map((name, i): [string, number] => [name, values[i] ?? Number.NaN]);
  return new Map(pairs.filter(([, value]) => !Number.isNaN(value)));
}

/** KVM's histograms of a row of BPF, by name; empty if the kernel has none. */
export function histogramsOfRow(row: VcpuRow | undefined): Map<string, number[]> {
  const counts = HALT_HISTOGRAMS.map(() => new Float64Array(BUCKETS));
  if (row?.addHistograms(counts) !== true) return new Map();
  return new Map(HALT_HISTOGRAMS.map((name, i) => [name, [...(counts[i] ?? [])]]));
}
