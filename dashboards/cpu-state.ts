import { VM } from '../alerts/recording.ts';
import { div, groupLeft, max, min, on, sum } from '../promql/promql.ts';
import type { Panel } from './panels/panel.ts';
import { TimeSeries } from './panels/time-series.ts';
import { FULL, series, vmGauge, vmRate } from './queries.ts';

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

export function idleStatesByRole(size: Size): Panel {
  const observed = sum(vmRate('kvm_vm_cpu_observed_seconds_total'), ROLE);
  return new TimeSeries({
    title: 'Idle states of its CPUs',
    description: `${CPUS} Share of the time in each idle state (C-state). A deep state saves power, and takes long to leave: an interrupt then waits for it.`,
    ...size,
    unit: 'percentunit',
    max: 1,
    many: true,
    queries: [
      series(
        div(
          sum(vmRate('kvm_vm_cpu_idle_seconds_total'), [...ROLE, 'state']),
          on(...ROLE),
          groupLeft(),
          observed,
        ),
        '{{vm}} {{role}} {{state}}',
      ),
    ],
    emptyIsGood: `${FULL}, or the host has no cpuidle, as in a VM`,
  });
}

export function interruptsByRole(size: Size): Panel {
  return new TimeSeries({
    title: 'Interrupts on its CPUs',
    description: `${CPUS} Interrupts a second, for whatever they were. Those of devices and IPIs on the CPU of a vCPU are exits.`,
    ...size,
    unit: 'eps',
    many: true,
    queries: [
      series(sum(vmRate('kvm_vm_cpu_interrupts_total'), [...ROLE, 'type']), '{{vm}} {{role}} {{type}}'),
    ],
    emptyIsGood: FULL,
  });
}

export function apicvInhibited(size: Size): Panel {
  return new TimeSeries({
    title: 'APICv and AVIC inhibited',
    description:
      'Why KVM does not let the CPU virtualize the interrupts of the VM: each injection and each EOI then costs exits.',
    ...size,
    unit: 'none',
    steps: true,
    integers: true,
    max: 1,
    queries: [series(max(vmGauge('kvm_vm_apicv_inhibited'), [...VM, 'reason']), '{{vm}} {{reason}}')],
    emptyIsGood: 'Not inhibited, or not readable: it takes BPF',
  });
}
