import type { Dashboard } from '@grafana/schema';
import { ELSEWHERE, HOST, kicksInjectionsEois, ofVm, VM } from '../alerts/recording.ts';
import { diskLatency, MIN_IOPS, pollingRegressed, vcpuStarved } from '../alerts/thresholds.ts';
import {
  add,
  and,
  atEnd,
  avgOverTime,
  compare,
  count,
  countValues,
  div,
  equal,
  groupLeft,
  max,
  mul,
  on,
  subquery,
  sum,
  topk,
  unless,
  type Vector,
} from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { seriesToVm, toVm } from './links.ts';
import { memoryOnNodes, migrationLeft, residentByVm, swappedByVm, swappingOfHost } from './memory.ts';
import { currentValue } from './panels/current-value.ts';
import { failingCollectors } from './panels/failing-collectors.ts';
import { above, named } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { cpuPressureByVm, pressureOfHost, throttledByVm } from './pressure.ts';
import {
  hostGauge,
  hostRate,
  OF_HOSTS,
  OF_VMS,
  ON_IO_PATH,
  RANGE,
  RATE,
  rows,
  series,
  vmGauge,
  vmRate,
} from './queries.ts';
import { cluster, datasource, instance, job, vm } from './variables.ts';

const CPU = [...HOST, 'cpu'] as const;
const DEVICE = [...HOST, 'device'] as const;
const elsewhere = vmGauge('kvm_vm_state_info', { state: ELSEWHERE });
const vcpusHere = unless(vmGauge('kvm_vm_vcpus'), on(...VM), elsewhere);
const ONCE = ' One that arrives by live migration, or that has left, counts at its other end.';
const exits = ofVm.exits(RATE, OF_VMS);
const ios = ofVm.ios(RATE, OF_VMS);
const onIoPath = sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, ...kicksInjectionsEois }), VM);
const wait = ofVm.wait(RATE, OF_VMS);
const ofDevice = <L extends string>(of: Vector<L | (typeof DEVICE)[number]>) => sum(of, DEVICE);
const deviceIos = ofDevice(
  add(hostRate('kvm_block_reads_completed_total'), hostRate('kvm_block_writes_completed_total')),
);
const deviceSeconds = ofDevice(
  add(hostRate('kvm_block_read_time_seconds_total'), hostRate('kvm_block_write_time_seconds_total')),
);
const cpuWait = hostRate('kvm_cpu_wait_seconds_total');

const third = { width: 8, height: 8, min: 0 } as const;
const half = { width: 12, height: 8, min: 0 } as const;

export const host = (): Dashboard =>
  dashboard({
    name: 'host',
    description: 'One host: its VMs, CPUs, block devices, NUMA nodes and sources.',
    variables: [datasource(), cluster(), job(), instance(), vm()],
    annotations: marks(false),
    rows: [
      {
        panels: [
          new Question(
            '**What does this host spend its CPUs on, and which VM causes it?** Choose one host. From top to bottom: the VMs, the use of the CPUs, the exits, the block devices, the NUMA nodes, and the state of the sources. Click on a VM to open its dashboard.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          currentValue('VMs', `VMs on the host.${ONCE}`, count(vcpusHere, [])),
          currentValue('vCPUs', `Number of vCPUs of all VMs.${ONCE}`, sum(vcpusHere, [])),
          currentValue('Exits', 'VM exits per second of all VMs.', sum(exits, []), { unit: 'eps' }),
          currentValue('I/Os', 'I/Os per second of all VMs.', sum(ios, []), { unit: 'iops' }),
          currentValue(
            'Drifting threads',
            'Threads that violate their expected affinity.',
            sum(vmGauge('kvm_vm_affinity_drift_threads'), []),
            {
              thresholds: above([[1, 'red']]),
            },
          ),
          failingCollectors('orange'),
          firingAlerts(OF_HOSTS),
        ],
      },
      {
        title: 'VMs',
        panels: [
          new Table({
            title: 'VMs',
            description: 'Each VM at the end of the time range, most exits first.',
            width: 24,
            height: 8,
            queries: [
              rows(max(vmGauge('kvm_vm_stage_info', { source: equal('detected') }), [...VM, 'stage'])),
              rows(sum(vmGauge('kvm_vm_vcpus'), VM)),
              rows(exits),
              rows(ios),
              rows(div(onIoPath, compare(ios, '>', MIN_IOPS))),
              rows(sum(ofVm.cores(RATE, OF_VMS), VM)),
              rows(max(wait, VM)),
              rows(sum(vmGauge('kvm_vm_affinity_drift_threads'), VM)),
              rows(max(vmGauge('kvm_vm_numa_local_ratio'), VM)),
            ],
            columns: [
              { from: 'vm', title: 'VM', links: [toVm] },
              { from: 'instance', title: 'Host' },
              { from: 'stage', title: 'Stage' },
              { from: 'Value #B', title: 'vCPUs', unit: 'short' },
              { from: 'Value #C', title: 'Exits', unit: 'eps' },
              { from: 'Value #D', title: 'I/Os', unit: 'iops' },
              {
                from: 'Value #E',
                title: 'Exits per I/O',
                unit: 'none',
                decimals: 2,
                coloured: 'text',
                more: {
                  thresholds: { mode: 'absolute', steps: above([[pollingRegressed.exitsPerIo, 'orange']]) },
                },
              },
              { from: 'Value #F', title: 'CPU', unit: 'percentunit', decimals: 0 },
              {
                from: 'Value #G',
                title: 'Longest wait',
                unit: 'percentunit',
                decimals: 1,
                coloured: 'text',
                more: { thresholds: { mode: 'absolute', steps: above([[vcpuStarved.wait, 'red']], 'text') } },
              },
              {
                from: 'Value #H',
                title: 'Drifting threads',
                unit: 'short',
                coloured: 'text',
                more: { thresholds: { mode: 'absolute', steps: above([[1, 'red']], 'text') } },
              },
              { from: 'Value #I', title: 'Memory on its nodes', unit: 'percentunit', decimals: 0 },
            ],
            sortBy: 'Exits',
          }),
          new TimeSeries({
            title: 'Exits',
            description: 'VM exits per second, by VM.',
            ...half,
            unit: 'eps',
            links: [seriesToVm],
            queries: [series(exits, '{{vm}}')],
          }),
          new TimeSeries({
            title: 'I/Os',
            description: 'I/Os per second as requested by the guests, by VM.',
            ...half,
            unit: 'iops',
            links: [seriesToVm],
            queries: [series(ios, '{{vm}}')],
          }),
        ],
      },
      {
        title: 'CPUs',
        panels: [
          new TimeSeries({
            title: 'Cores by role',
            description: 'Cores in use by the threads of the VMs, by role.',
            ...third,
            unit: 'suffix:cores',
            stacked: true,
            queries: [series(sum(ofVm.cores(RATE, OF_VMS), ['role']), '{{role}}')],
          }),
          new TimeSeries({
            title: 'Run-queue wait of vCPUs',
            description:
              'Share of time that the most starved vCPU of a VM is runnable and waits, or is stopped by a CPU quota. The guest sees it as steal time.',
            ...third,
            unit: 'percentunit',
            links: [seriesToVm],
            thresholds: above([[vcpuStarved.wait, 'red']], 'transparent'),
            queries: [
              series(max(vmRate('kvm_thread_wait_seconds_total', { role: equal('vcpu') }), VM), '{{vm}}'),
            ],
          }),
          new TimeSeries({
            title: 'Run-queue wait of I/O threads',
            description:
              'Share of time that the most starved thread of any other role than vcpu is runnable and waits.',
            ...third,
            unit: 'percentunit',
            links: [seriesToVm],
            queries: [
              series(max(vmRate('kvm_thread_wait_seconds_total', { role: '!="vcpu"' }), VM), '{{vm}}'),
            ],
          }),
          throttledByVm(third),
          cpuPressureByVm(third),
          pressureOfHost(third),
          new TimeSeries({
            title: 'CPUs with the longest queues',
            description: 'Seconds per second that tasks wait for a CPU. The ten CPUs with the highest mean.',
            ...half,
            unit: 'percentunit',
            many: true,
            queries: [
              series(
                and(cpuWait, on(...CPU), topk(10, avgOverTime(atEnd(subquery(cpuWait, RANGE, RATE))))),
                'CPU {{cpu}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Busy cores by NUMA node',
            description: 'Busy CPUs of each NUMA node, for all tasks of the host.',
            ...half,
            unit: 'suffix:cores',
            stacked: true,
            queries: [
              series(
                sum(
                  mul(
                    hostRate('kvm_cpu_run_seconds_total'),
                    on(...CPU),
                    groupLeft('node'),
                    max(hostGauge('kvm_cpu_info'), [...CPU, 'node']),
                  ),
                  ['node'],
                ),
                'node {{node}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Exits',
        panels: [
          new TimeSeries({
            title: 'Exits by reason',
            description: 'VM exits per second of the chosen VMs, by the exit reason of the hardware.',
            ...half,
            unit: 'eps',
            stacked: true,
            many: true,
            queries: [series(sum(vmRate('kvm_vm_exits_by_reason_total'), ['reason']), '{{reason}}')],
          }),
          new TimeSeries({
            title: 'Exits per I/O by VM',
            description: 'Kicks, injections and EOIs per I/O: three without polling, almost none with it.',
            ...half,
            unit: 'none',
            links: [seriesToVm],
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']], 'transparent'),
            queries: [series(div(onIoPath, compare(ios, '>', MIN_IOPS)), '{{vm}}')],
          }),
        ],
      },
      {
        title: 'Block devices',
        panels: [
          new TimeSeries({
            title: 'Operations',
            description: 'Reads and writes per second completed by the device.',
            ...third,
            unit: 'iops',
            queries: [series(deviceIos, '{{device}}')],
          }),
          new TimeSeries({
            title: 'Throughput',
            description: 'Bytes read and written per second.',
            ...third,
            unit: 'Bps',
            queries: [
              series(ofDevice(hostRate('kvm_block_read_bytes_total')), '{{device}} read'),
              series(ofDevice(hostRate('kvm_block_written_bytes_total')), '{{device}} written'),
            ],
          }),
          new TimeSeries({
            title: 'Mean latency',
            description: 'Mean time of a read or write in the device and its queue.',
            ...third,
            unit: 's',
            thresholds: above([[diskLatency.mean, 'red']], 'transparent'),
            queries: [series(div(deviceSeconds, compare(deviceIos, '>', 0)), '{{device}}')],
          }),
          new TimeSeries({
            title: 'In flight',
            description: 'Requests in flight at each scrape.',
            ...third,
            unit: 'short',
            integers: true,
            queries: [series(sum(hostGauge('kvm_block_io_now'), DEVICE), '{{device}}')],
          }),
          new TimeSeries({
            title: 'Utilization',
            description:
              'Share of time with requests in flight. A parallel device can take more requests at 100%.',
            ...third,
            unit: 'percentunit',
            max: 1,
            queries: [series(sum(hostRate('kvm_block_io_time_seconds_total'), DEVICE), '{{device}}')],
          }),
          new Table({
            title: 'Devices',
            description: 'I/O scheduler, NUMA node and hardware queues of each device.',
            width: 8,
            height: 8,
            queries: [
              rows(max(hostGauge('kvm_block_info', { physical: equal('true') }), [...DEVICE, 'scheduler'])),
              rows(sum(hostGauge('kvm_block_numa_node'), DEVICE)),
              rows(sum(hostGauge('kvm_block_hardware_queues'), DEVICE)),
            ],
            columns: [
              { from: 'device', title: 'Device' },
              { from: 'instance', title: 'Host' },
              { from: 'scheduler', title: 'Scheduler' },
              { from: 'Value #B', title: 'Node', unit: 'none' },
              { from: 'Value #C', title: 'Queues', unit: 'short' },
            ],
            sortBy: 'Device',
            ascending: true,
          }),
        ],
      },
      {
        title: 'NUMA nodes',
        panels: [
          new TimeSeries({
            title: 'Threads by node',
            description:
              'Number of vCPU and I/O threads, by the NUMA node of the CPU on which they last ran.',
            ...third,
            unit: 'short',
            integers: true,
            stacked: true,
            steps: true,
            queries: [
              series(countValues('node', vmGauge('kvm_thread_numa_node', ON_IO_PATH), HOST), 'node {{node}}'),
            ],
          }),
          memoryOnNodes(third),
          new TimeSeries({
            title: 'Completions on the node of the I/O thread',
            description:
              'Share of the CPUs with I/O threads whose NVMe requests complete on the same NUMA node.',
            ...third,
            unit: 'percentunit',
            max: 1,
            links: [seriesToVm],
            queries: [
              series(
                max(vmGauge('kvm_vm_io_completion_local_ratio', { scope: equal('node') }), VM),
                '{{vm}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Memory and live migration (profile full)',
        collapsed: true,
        panels: [residentByVm(half), swappedByVm(half), swappingOfHost(half), migrationLeft(half)],
      },
      {
        title: 'Sources',
        panels: [
          new StateTimeline({
            title: 'Collectors',
            description:
              'Success of each collector. The log has the reason of a failure, and `kvm-telemetry doctor` prints the fix.',
            width: 12,
            height: 10,
            unit: 'none',
            queries: [series(hostGauge('kvm_telemetry_collector_success'), '{{collector}}')],
            mappings: [named({ 0: ['failing', 'red'], 1: ['works', 'semi-dark-green'] })],
          }),
          new StateTimeline({
            title: 'Monitors and managers of VMs',
            description: 'Responses of QEMU (qmp) and libvirt for each VM.',
            width: 12,
            height: 10,
            unit: 'none',
            queries: [series(vmGauge('kvm_vm_source_up'), '{{vm}} {{source}}')],
            mappings: [named({ 0: ['no response', 'red'], 1: ['responds', 'semi-dark-green'] })],
          }),
        ],
      },
    ],
  });
