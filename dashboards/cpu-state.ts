import { VM } from '../alerts/recording.ts';
import { max, min } from '../promql/promql.ts';
import type { Panel } from './panels/panel.ts';
import { TimeSeries } from './panels/time-series.ts';
import { series, vmGauge } from './queries.ts';

interface Size {
  readonly width: number;
  readonly height: number;
  readonly min: number;
}

const ROLE = [...VM, 'role'] as const;
const CPUS = 'Of the CPUs on which the threads of each role ran last.';

export function frequencyByRole(size: Size): Panel {
  return new TimeSeries({
    title: 'Frequency of its CPUs',
    description: `${CPUS} Lowest, and the most that the policy allows. A limit below that of the hardware is a governor's, a power cap's or that of uclamp.`,
    ...size,
    unit: 'hertz',
    queries: [
      series(min(vmGauge('kvm_vm_cpu_frequency_min_hertz'), ROLE), '{{vm}} {{role}}'),
      series(max(vmGauge('kvm_vm_cpu_frequency_limit_hertz'), ROLE), '{{vm}} {{role}} limit'),
    ],
    emptyIsGood: 'Not measured: the host has no cpufreq, as in a VM',
  });
}
