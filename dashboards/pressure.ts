import { ofVm, VM } from '../alerts/recording.ts';
import { vmThrottled } from '../alerts/thresholds.ts';
import { equal, sum } from '../promql/promql.ts';
import { seriesToVm } from './links.ts';
import { above, type Panel } from './panels/panel.ts';
import { TimeSeries } from './panels/time-series.ts';
import { hostRate, OF_VMS, RATE, series, vmRate } from './queries.ts';

interface Size {
  readonly width: number;
  readonly height: number;
  readonly min: number;
}

const NO_PSI = 'Not measured: the kernel has no PSI (psi=1 on its command line turns it on)';
const NO_CGROUP = 'Not measured: no cgroup of a VM can be read';
const atAlert = above([[vmThrottled.throttled, 'red']], 'transparent');

/** Beside the run-queue wait, which includes this time. */
export function throttledByVm(size: Size): Panel {
  return new TimeSeries({
    title: 'Stopped by a CPU quota',
    description:
      'CPUs that a quota withholds from each VM, in the cgroup where it is most. The kernel counts this time as run-queue wait too, and the guest sees it as steal time.',
    ...size,
    unit: 'suffix:cores',
    decimals: 2,
    links: [seriesToVm],
    thresholds: atAlert,
    queries: [series(ofVm.throttled(RATE, OF_VMS), '{{vm}}')],
    emptyIsGood: NO_CGROUP,
  });
}

export function throttledByGroup(size: Size): Panel {
  return new TimeSeries({
    title: 'Stopped by a CPU quota',
    description:
      'CPUs that a quota withholds, by cgroup: that of the VM, a part that libvirt makes (vcpu0, iothread1, emulator), or one above the VM. Raise the quota of the group that is shown.',
    ...size,
    unit: 'suffix:cores',
    decimals: 2,
    thresholds: atAlert,
    queries: [series(sum(vmRate('kvm_vm_throttled_seconds_total'), [...VM, 'group']), '{{vm}} {{group}}')],
    emptyIsGood: NO_CGROUP,
  });
}

const PRESSURE =
  'Share of time in which tasks waited for a resource (PSI). Some: at least one task waited. Full: all waited.';

export function pressureOfVm(size: Size): Panel {
  return new TimeSeries({
    title: 'Pressure',
    description: `${PRESSURE} Of the cgroup of the VM.`,
    ...size,
    unit: 'percentunit',
    queries: [
      series(
        sum(vmRate('kvm_vm_pressure_seconds_total'), [...VM, 'resource', 'kind']),
        '{{vm}} {{resource}} {{kind}}',
      ),
    ],
    emptyIsGood: NO_PSI,
  });
}

export function pressureOfHost(size: Size): Panel {
  return new TimeSeries({
    title: 'Pressure of the host',
    description: `${PRESSURE} Of all tasks of the host.`,
    ...size,
    unit: 'percentunit',
    queries: [series(hostRate('kvm_host_pressure_seconds_total'), '{{resource}} {{kind}}')],
    emptyIsGood: NO_PSI,
  });
}

export function cpuPressureByVm(size: Size): Panel {
  return new TimeSeries({
    title: 'CPU pressure by VM',
    description: `${PRESSURE} Here: some, for CPU, of the cgroup of each VM. A CPU quota or a neighbour causes it.`,
    ...size,
    unit: 'percentunit',
    links: [seriesToVm],
    queries: [
      series(
        sum(vmRate('kvm_vm_pressure_seconds_total', { resource: equal('cpu'), kind: equal('some') }), VM),
        '{{vm}}',
      ),
    ],
    emptyIsGood: NO_PSI,
  });
}
