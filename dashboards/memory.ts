import { VM } from '../alerts/recording.ts';
import { max } from '../promql/promql.ts';
import { seriesToVm } from './links.ts';
import { TimeSeries } from './panels/time-series.ts';
import { series, vmGauge } from './queries.ts';

export function memoryOnNodes(size: {
  readonly width: number;
  readonly height: number;
  readonly min: number;
}): TimeSeries {
  return new TimeSeries({
    title: 'Memory on the nodes of the vCPUs',
    description: "Share of a VM's memory on the NUMA nodes of its vCPUs.",
    ...size,
    unit: 'percentunit',
    max: 1,
    links: [seriesToVm],
    queries: [series(max(vmGauge('kvm_vm_numa_local_ratio'), VM), '{{vm}}')],
  });
}
