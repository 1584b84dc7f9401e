import type { Dashboard } from '@grafana/schema';
import { HOST, kicksInjectionsEois, ofVm, VM } from '../alerts/recording.ts';
import { diskLatency, MIN_IOPS, pollingRegressed, vcpuStarved } from '../alerts/thresholds.ts';
import {
  aggregate,
  and,
  countValues,
  dividedBy,
  equal,
  joined,
  overRange,
  plus,
  sum,
  topk,
  type Vector,
  where,
} from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { dashboard } from './finish.ts';
import { seriesToVm, toVm } from './links.ts';
import { memoryOnNodes } from './memory.ts';
import { above, named, type Panel, type PanelSpec } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import {
  hostGauge,
  hostRate,
  now,
  OF_VMS,
  ON_IO_PATH,
  RANGE,
  RATE,
  rows,
  series,
  vmGauge,
  vmRate,
} from './queries.ts';
import { datasource, instance, job, vm } from './variables.ts';

const CPU = [...HOST, 'cpu'] as const;
const DEVICE = [...HOST, 'device'] as const;
const exits = ofVm.exits(RATE, OF_VMS);
const ios = ofVm.ios(RATE, OF_VMS);
const onIoPath = sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, ...kicksInjectionsEois }), VM);
const wait = ofVm.wait(RATE, OF_VMS);
const ofDevice = <L extends string>(of: Vector<L | 'job' | 'instance' | 'device'>) => sum(of, DEVICE);
const deviceIos = ofDevice(
  plus(hostRate('kvm_block_reads_completed_total'), hostRate('kvm_block_writes_completed_total')),
);
const deviceSeconds = ofDevice(
  plus(hostRate('kvm_block_read_time_seconds_total'), hostRate('kvm_block_write_time_seconds_total')),
);
const deviceBytes = ofDevice(
  plus(hostRate('kvm_block_read_bytes_total'), hostRate('kvm_block_written_bytes_total')),
);
const cpuWait = hostRate('kvm_cpu_wait_seconds_total');

const count = (title: string, description: string, of: Vector<never>, more: Partial<PanelSpec> = {}): Panel =>
  new Stat({
    ...{ title, description, unit: 'short', width: 4, height: 4 },
    queries: [now(of, title)],
    ...more,
  });

const third = { width: 8, height: 8, min: 0 } as const;
const half = { width: 12, height: 8, min: 0 } as const;

export const host = (): Dashboard =>
  dashboard({
    name: 'host',
    description:
      'One host: its VMs, CPUs, block devices and NUMA nodes, and whether all sources can be read.',
    variables: [datasource(), job(), instance(), vm()],
    annotations: marks(),
    rows: [
      {
        panels: [
          new Question(
            '**What does this host spend its CPUs on, and which VM is to blame?** Choose one host. From top to bottom: the VMs, who runs and who waits on the CPUs, why guests exit, what the block devices do, where on the NUMA nodes it happens, and at the end whether every source could be read. Click on a VM to see it alone.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          count('VMs', 'VMs that run.', aggregate('count', vmGauge('kvm_vm_vcpus'), [])),
          count('vCPUs', 'Threads of VMs that are vCPUs.', sum(vmGauge('kvm_vm_vcpus'), [])),
          count('Exits', 'VM exits a second of all VMs.', sum(exits, []), { unit: 'cps' }),
          count('I/Os', 'I/Os a second of all VMs.', sum(ios, []), { unit: 'iops' }),
          count(
            'Drifting threads',
            'Threads that are not where they should be.',
            sum(vmGauge('kvm_vm_affinity_drift_threads'), []),
            {
              thresholds: above([[1, 'red']]),
            },
          ),
          count(
            'Failing collectors',
            'Collectors that do not give all they should.',
            aggregate('count', where(hostGauge('kvm_telemetry_collector_success'), '==', 0), []),
            {
              ...{ emptyIsGood: 'none', thresholds: above([[1, 'orange']]) },
            },
          ),
        ],
      },
      {
        title: 'VMs',
        panels: [
          new Table({
            title: 'VMs',
            description: 'Each VM at the end of the time range, most exits first.',
            ...{ width: 24, height: 8 },
            queries: [
              rows(
                aggregate('max', vmGauge('kvm_vm_stage_info', { source: equal('detected') }), [
                  ...VM,
                  'stage',
                ]),
              ),
              rows(sum(vmGauge('kvm_vm_vcpus'), VM)),
              rows(exits),
              rows(ios),
              rows(dividedBy(onIoPath, where(ios, '>', MIN_IOPS))),
              rows(sum(ofVm.cores(RATE, OF_VMS), VM)),
              rows(aggregate('max', wait, VM)),
              rows(sum(vmGauge('kvm_vm_affinity_drift_threads'), VM)),
              rows(aggregate('max', vmGauge('kvm_vm_numa_local_ratio'), VM)),
            ],
            columns: [
              { from: 'vm', title: 'VM', links: [toVm] },
              { from: 'instance', title: 'Host' },
              { from: 'stage', title: 'Stage' },
              { from: 'Value #B', title: 'vCPUs', unit: 'short' },
              { from: 'Value #C', title: 'Exits', unit: 'cps' },
              { from: 'Value #D', title: 'I/Os', unit: 'iops' },
              {
                ...{ from: 'Value #E', title: 'Exits per I/O', unit: 'none', decimals: 2, coloured: 'text' },
                more: {
                  thresholds: { mode: 'absolute', steps: above([[pollingRegressed.exitsPerIo, 'orange']]) },
                },
              },
              { from: 'Value #F', title: 'CPU', unit: 'percentunit', decimals: 0 },
              {
                ...{
                  from: 'Value #G',
                  title: 'Longest wait',
                  unit: 'percentunit',
                  decimals: 1,
                  coloured: 'text',
                },
                more: { thresholds: { mode: 'absolute', steps: above([[vcpuStarved.wait, 'red']], 'text') } },
              },
              {
                ...{ from: 'Value #H', title: 'Drifting threads', unit: 'short', coloured: 'text' },
                more: { thresholds: { mode: 'absolute', steps: above([[1, 'red']], 'text') } },
              },
              { from: 'Value #I', title: 'Memory on its nodes', unit: 'percentunit', decimals: 0 },
            ],
            sortBy: 'Exits',
          }),
          new TimeSeries({
            title: 'Exits',
            description: 'VM exits a second, by VM.',
            ...{ ...half, unit: 'cps', links: [seriesToVm] },
            queries: [series(exits, '{{vm}}')],
          }),
          new TimeSeries({
            title: 'I/Os',
            description: 'I/Os a second as the guests asked for them, by VM.',
            ...{ ...half, unit: 'iops', links: [seriesToVm] },
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
            ...{ ...third, unit: 'suffix:cores', stacked: true },
            queries: [series(sum(ofVm.cores(RATE, OF_VMS), ['role']), '{{role}}')],
          }),
          new TimeSeries({
            title: 'Run-queue wait of vCPUs',
            description:
              'Share of the time that the most starved vCPU of a VM is runnable and waits: the guest sees it as steal.',
            ...{ ...third, unit: 'percentunit', links: [seriesToVm] },
            thresholds: above([[vcpuStarved.wait, 'red']], 'transparent'),
            queries: [
              series(
                aggregate('max', vmRate('kvm_thread_wait_seconds_total', { role: equal('vcpu') }), VM),
                '{{vm}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Run-queue wait of I/O threads',
            description:
              'Share of the time that the thread of a role other than vcpu which waits longest is runnable and waits.',
            ...{ ...third, unit: 'percentunit', links: [seriesToVm] },
            queries: [
              series(
                aggregate('max', vmRate('kvm_thread_wait_seconds_total', { role: '!="vcpu"' }), VM),
                '{{vm}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'CPUs with the longest queues',
            description: 'Seconds a second that tasks wait for a CPU: the ten CPUs with the highest mean.',
            ...{ ...half, unit: 'percentunit', many: true },
            queries: [
              series(and(cpuWait, CPU, topk(10, overRange('avg', cpuWait, RANGE, RATE))), 'CPU {{cpu}}'),
            ],
          }),
          new TimeSeries({
            title: 'Busy cores by NUMA node',
            description: 'CPUs in use on each NUMA node, by any task of the host.',
            ...{ ...half, unit: 'suffix:cores', stacked: true },
            queries: [
              series(
                sum(
                  joined(
                    hostRate('kvm_cpu_run_seconds_total'),
                    CPU,
                    aggregate('max', hostGauge('kvm_cpu_info'), [...CPU, 'node']),
                    ['node'],
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
            description: 'VM exits a second of the chosen VMs, by the reason that the hardware gave.',
            ...{ ...half, unit: 'cps', stacked: true, many: true },
            queries: [series(sum(vmRate('kvm_vm_exits_by_reason_total'), ['reason']), '{{reason}}')],
          }),
          new TimeSeries({
            title: 'Exits per I/O by VM',
            description:
              'Kicks, injections and EOIs for each I/O: three without polling, next to none with it.',
            ...{ ...half, unit: 'none', links: [seriesToVm] },
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']], 'transparent'),
            queries: [series(dividedBy(onIoPath, where(ios, '>', MIN_IOPS)), '{{vm}}')],
          }),
        ],
      },
      {
        title: 'Block devices',
        panels: [
          new TimeSeries({
            title: 'Operations',
            description: 'Reads and writes a second that the device completed.',
            ...{ ...third, unit: 'iops' },
            queries: [series(deviceIos, '{{device}}')],
          }),
          new TimeSeries({
            title: 'Throughput',
            description: 'Bytes a second read and written.',
            ...{ ...third, unit: 'Bps' },
            queries: [series(deviceBytes, '{{device}}')],
          }),
          new TimeSeries({
            title: 'Mean latency',
            description: 'Mean time of a read or write in the device and its queue.',
            ...{ ...third, unit: 's' },
            thresholds: above([[diskLatency.mean, 'red']], 'transparent'),
            queries: [series(dividedBy(deviceSeconds, where(deviceIos, '>', 0)), '{{device}}')],
          }),
          new TimeSeries({
            title: 'In flight',
            description: 'Requests in flight at each scrape.',
            ...{ ...third, unit: 'short' },
            queries: [series(sum(hostGauge('kvm_block_io_now'), DEVICE), '{{device}}')],
          }),
          new TimeSeries({
            title: 'Utilisation',
            description:
              'Share of the time with anything in flight. A device that works in parallel can take more at 100%.',
            ...{ ...third, unit: 'percentunit', max: 1 },
            queries: [series(sum(hostRate('kvm_block_io_time_seconds_total'), DEVICE), '{{device}}')],
          }),
          new Table({
            title: 'Devices',
            description: 'What the devices are, and on which NUMA node.',
            ...{ width: 8, height: 8 },
            queries: [
              rows(
                aggregate('max', hostGauge('kvm_block_info', { physical: equal('true') }), [
                  ...DEVICE,
                  'scheduler',
                ]),
              ),
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
            ...{ sortBy: 'Device', ascending: true },
          }),
        ],
      },
      {
        title: 'NUMA nodes',
        panels: [
          new TimeSeries({
            title: 'Threads by node',
            description: 'Threads of vCPUs and of I/O by the NUMA node of the CPU they ran on last.',
            ...{ ...third, unit: 'short', stacked: true, steps: true },
            queries: [
              series(countValues('node', vmGauge('kvm_thread_numa_node', ON_IO_PATH), HOST), 'node {{node}}'),
            ],
          }),
          memoryOnNodes(third),
          new TimeSeries({
            title: 'Completions on the node of the I/O thread',
            description:
              'Share of the CPUs with I/O threads whose NVMe requests complete on the same NUMA node.',
            ...{ ...third, unit: 'percentunit', max: 1, links: [seriesToVm] },
            queries: [
              series(
                aggregate('max', vmGauge('kvm_vm_io_completion_local_ratio', { scope: equal('node') }), VM),
                '{{vm}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Sources',
        panels: [
          new StateTimeline({
            title: 'Collectors',
            description:
              'Whether each collector gave all it should; the reason is in the log, and `kvm-telemetry doctor` says what fixes it.',
            ...{ width: 12, height: 10, unit: 'none' },
            queries: [series(hostGauge('kvm_telemetry_collector_success'), '{{collector}}')],
            mappings: [named({ 0: ['failing', 'red'], 1: ['works', 'semi-dark-green'] })],
          }),
          new StateTimeline({
            title: 'Monitors and managers of VMs',
            description: 'Whether QEMU (qmp) or libvirt answered for each VM.',
            ...{ width: 12, height: 10, unit: 'none' },
            queries: [series(vmGauge('kvm_vm_source_up'), '{{vm}} {{source}}')],
            mappings: [named({ 0: ['no answer', 'red'], 1: ['answers', 'semi-dark-green'] })],
          }),
        ],
      },
    ],
  });
