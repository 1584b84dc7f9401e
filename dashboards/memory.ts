import { VM } from '../alerts/recording.ts';
import { max, sum } from '../promql/promql.ts';
import { seriesToVm } from './links.ts';
import type { Panel } from './panels/panel.ts';
import { TimeSeries } from './panels/time-series.ts';
import { FULL, hostRate, series, vmGauge } from './queries.ts';

interface Size {
  readonly width: number;
  readonly height: number;
  readonly min: number;
}

const NO_MIGRATION = 'No VM is sent. Exported with --profile=full';

export function memoryOnNodes(size: Size): Panel {
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

export function memoryOfVm(size: Size): Panel {
  return new TimeSeries({
    title: 'Memory',
    description:
      "Of the VM's process: in RAM (without hugetlbfs), in swap, in huge pages (hugetlb, transparent), and what the guest has after its balloon took its part. The guest waits for the disk when it touches what is in swap.",
    ...size,
    unit: 'bytes',
    many: true,
    queries: [
      series(max(vmGauge('kvm_vm_memory_resident_bytes'), VM), '{{vm}} in RAM'),
      series(max(vmGauge('kvm_vm_memory_swapped_bytes'), VM), '{{vm}} in swap'),
      series(max(vmGauge('kvm_vm_memory_huge_bytes'), [...VM, 'kind']), '{{vm}} {{kind}}'),
      series(max(vmGauge('kvm_vm_memory_balloon_actual_bytes'), VM), '{{vm}} after the balloon'),
    ],
    emptyIsGood: FULL,
  });
}

export function residentByVm(size: Size): Panel {
  return new TimeSeries({
    title: 'Memory in RAM by VM',
    description: "Memory of each VM's process in RAM, without hugetlbfs.",
    ...size,
    unit: 'bytes',
    stacked: true,
    many: true,
    links: [seriesToVm],
    queries: [series(max(vmGauge('kvm_vm_memory_resident_bytes'), VM), '{{vm}}')],
    emptyIsGood: FULL,
  });
}

export function swappedByVm(size: Size): Panel {
  return new TimeSeries({
    title: 'Memory in swap by VM',
    description: "Memory of each VM's process in swap. The guest waits for the disk when it touches it.",
    ...size,
    unit: 'bytes',
    many: true,
    links: [seriesToVm],
    queries: [series(max(vmGauge('kvm_vm_memory_swapped_bytes'), VM), '{{vm}}')],
    emptyIsGood: FULL,
  });
}

export function swappingOfHost(size: Size): Panel {
  return new TimeSeries({
    title: 'Swapping',
    description: 'Pages a second that the host reads from and writes to swap, for all of its processes.',
    ...size,
    unit: 'eps',
    queries: [series(sum(hostRate('kvm_host_swapped_pages_total'), ['direction']), '{{direction}}')],
    emptyIsGood: FULL,
  });
}

export function migrationLeft(size: Size): Panel {
  return new TimeSeries({
    title: 'Live migration: memory left to send',
    description: 'It ends when the rest can be sent in the pause that is allowed.',
    ...size,
    unit: 'bytes',
    links: [seriesToVm],
    queries: [series(max(vmGauge('kvm_vm_migration_remaining_bytes'), VM), '{{vm}}')],
    emptyIsGood: NO_MIGRATION,
  });
}

export function migrationRates(size: Size): Panel {
  return new TimeSeries({
    title: 'Live migration: sent and written again',
    description:
      'Bytes a second that QEMU sends, and that the guest writes again. A guest that writes faster cannot be migrated without slowing it down.',
    ...size,
    unit: 'Bps',
    queries: [
      series(max(vmGauge('kvm_vm_migration_sent_bytes_per_second'), VM), '{{vm}} sent'),
      series(max(vmGauge('kvm_vm_migration_dirty_bytes_per_second'), VM), '{{vm}} written again'),
    ],
    emptyIsGood: NO_MIGRATION,
  });
}

export function migrationDowntime(size: Size): Panel {
  return new TimeSeries({
    title: 'Live migration: expected pause',
    description: 'Pause of the guest that QEMU expects at the end.',
    ...size,
    unit: 's',
    queries: [series(max(vmGauge('kvm_vm_migration_expected_downtime_seconds'), VM), '{{vm}}')],
    emptyIsGood: NO_MIGRATION,
  });
}
