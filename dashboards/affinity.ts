import type { Dashboard } from '@grafana/schema';
import { HOST, VM } from '../alerts/recording.ts';
import { queueImbalance } from '../alerts/thresholds.ts';
import { IO_THREAD_LABELS } from '../exporter/metrics/roles.ts';
import {
  and,
  atEnd,
  avg,
  avgOverTime,
  compare,
  countValues,
  labelReplace,
  max,
  maxOverTime,
  mul,
  on,
  regexp,
  subquery,
  sum,
  topk,
  type Vector,
} from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { seriesToVm } from './links.ts';
import { memoryOnNodes } from './memory.ts';
import { BarChart } from './panels/bar-chart.ts';
import { above, named } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import {
  hostGauge,
  hostRate,
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

const THREAD = [...VM, 'thread'] as const;
const drift = sum(vmGauge('kvm_thread_affinity_drift'), [...THREAD, 'kind']);
const migrations = sum(vmRate('kvm_thread_observed_migrations_total', ON_IO_PATH), THREAD);
const kicks = vmRate('kvm_virtqueue_kicks_total');
const QUEUE = [...VM, 'queue'] as const;

/** Where no monitor names the device, the exporter has only its address or port. */
const onDevice = (of: Vector<(typeof VM)[number] | 'device'>): Vector<(typeof VM)[number] | 'device'> =>
  labelReplace(max(of, [...VM, 'device']), 'device', 'unnamed device at $1', 'device', '(0x.+)');

/** Block devices that hold the disks of the selected VMs. */
const DEVICE = [...HOST, 'device'] as const;
const CONTROLLER = [...HOST, 'controller'] as const;
const devices = vmGauge('kvm_vm_block_device_info');
const controllers = and(hostGauge('kvm_block_info'), on(...DEVICE), devices);
const interrupts = hostRate('kvm_nvme_queue_interrupts_total', { queue: '!="0"' });

const third = { width: 8, height: 8, min: 0 } as const;

export const affinity = (): Dashboard =>
  dashboard({
    name: 'affinity',
    description:
      'CPU of each thread, violations of the expected affinity, and use of the virtqueues by the vCPUs.',
    variables: [datasource(), cluster(), job(), instance(), vm()],
    annotations: marks(),
    rows: [
      {
        panels: [
          new Question(
            '**Does every thread have its expected affinity, and does each vCPU keep its queues?** A pinned thread is one long bar; each new color is a move to another CPU. The rows below show drift by kind, shared CPUs, the share of memory and completions on the local NUMA node, and the kicks of each queue by vCPU. Choose one VM or a few.',
          ),
        ],
      },
      { title: 'Alerts', panels: [firingAlerts(OF_VMS)] },
      {
        title: 'Threads on CPUs',
        panels: [
          new StateTimeline({
            title: 'CPU of each thread',
            description:
              'The CPU on which each vCPU and I/O thread last ran. A thread that stays on its CPU is one bar.',
            width: 24,
            height: 13,
            unit: 'none',
            decimals: 0,
            colourful: true,
            min: 0,
            queries: [series(max(vmGauge('kvm_thread_cpu', ON_IO_PATH), THREAD), '{{vm}} {{thread}}')],
          }),
        ],
      },
      {
        title: 'Drift',
        panels: [
          new StateTimeline({
            title: 'Threads that drifted',
            description:
              'Threads that violated their expected affinity at some time in the range, by kind of drift (docs/sources.md).',
            width: 12,
            height: 10,
            unit: 'none',
            queries: [
              series(
                and(
                  drift,
                  on(...THREAD, 'kind'),
                  compare(maxOverTime(atEnd(subquery(drift, RANGE, RATE))), '>', 0),
                ),
                '{{vm}} {{thread}} {{kind}}',
              ),
            ],
            mappings: [named({ 0: ['as expected', 'semi-dark-green'], 1: ['drifts', 'red'] })],
            emptyIsGood: 'No thread drifted',
          }),
          new TimeSeries({
            title: 'Migrations per minute',
            description:
              'Observed moves to another CPU per minute, a lower bound. The ten threads with the most moves.',
            width: 12,
            height: 10,
            min: 0,
            unit: 'suffix:/min',
            decimals: 1,
            many: true,
            queries: [
              series(
                and(
                  mul(migrations, 60),
                  on(...THREAD),
                  topk(10, avgOverTime(atEnd(subquery(migrations, RANGE, RATE)))),
                ),
                '{{vm}} {{thread}}',
              ),
            ],
          }),
          new Table({
            title: 'CPUs shared by threads',
            description:
              'CPUs on which more than one vCPU or I/O thread of the chosen VMs last ran, at the end of the range.',
            width: 8,
            height: 8,
            queries: [rows(compare(countValues('cpu', vmGauge('kvm_thread_cpu', ON_IO_PATH), HOST), '>', 1))],
            columns: [
              { from: 'instance', title: 'Host' },
              { from: 'cpu', title: 'CPU' },
              { from: 'Value', title: 'Threads', unit: 'short' },
            ],
            sortBy: 'Threads',
            emptyIsGood: 'No CPU is shared',
          }),
          new Table({
            title: 'Drift by kind',
            description:
              'Threads that violate their expected affinity at the end of the range, by VM and kind.',
            width: 8,
            height: 8,
            queries: [rows(compare(sum(vmGauge('kvm_thread_affinity_drift'), [...VM, 'kind']), '>', 0))],
            columns: [
              { from: 'vm', title: 'VM' },
              { from: 'kind', title: 'Kind' },
              { from: 'Value', title: 'Threads', unit: 'short' },
            ],
            sortBy: 'Threads',
            emptyIsGood: 'No thread drifts',
          }),
          new TimeSeries({
            title: 'Allowed CPUs per thread',
            description:
              'Mean number of CPUs in the affinity masks of vCPUs and I/O threads, by VM: 1 if each is pinned to one CPU.',
            ...third,
            unit: 'short',
            steps: true,
            links: [seriesToVm],
            queries: [series(avg(vmGauge('kvm_thread_allowed_cpus', ON_IO_PATH), VM), '{{vm}}')],
          }),
        ],
      },
      {
        title: 'NUMA',
        panels: [
          memoryOnNodes(third),
          new TimeSeries({
            title: 'Completions near the I/O threads',
            description:
              'Share of the CPUs with I/O threads whose NVMe requests complete on the same CPU (cpu) or NUMA node (node).',
            ...third,
            unit: 'percentunit',
            max: 1,
            queries: [
              series(max(vmGauge('kvm_vm_io_completion_local_ratio'), [...VM, 'scope']), '{{vm}} {{scope}}'),
            ],
          }),
          new StateTimeline({
            title: 'NUMA node of I/O threads',
            description: 'The node of the CPU on which each I/O thread last ran.',
            width: 8,
            height: 8,
            unit: 'none',
            decimals: 0,
            colourful: true,
            min: 0,
            queries: [
              series(
                max(vmGauge('kvm_thread_numa_node', { role: regexp(IO_THREAD_LABELS.join('|')) }), THREAD),
                '{{vm}} {{thread}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Queues',
        panels: [
          new BarChart({
            title: 'Kicks by virtqueue and vCPU',
            description:
              'Mean kicks of each virtqueue, by vCPU. One color per bar: each vCPU has its own queue (paper, Fig. 7 c). All colors: the vCPUs take turns (Fig. 7 b). Equal heights: even use (Fig. 8). Choose one VM.',
            width: 24,
            height: 9,
            unit: 'eps',
            x: 'queue\\vcpu',
            stacked: true,
            legend: true,
            min: 0,
            queries: [rows(sum(avgOverTime(atEnd(subquery(kicks, RANGE, RATE))), ['queue', 'vcpu']))],
            transformations: [
              { id: 'sortBy', options: { fields: {}, sort: [{ field: 'queue', desc: false }] } },
              {
                id: 'groupingToMatrix',
                options: { columnField: 'vcpu', rowField: 'queue', valueField: 'Value', emptyValue: 'null' },
              },
            ],
          }),
          new TimeSeries({
            title: 'Locality of queues',
            description:
              "Share of a queue's kicks that came from its most frequent vCPU: 1 if each vCPU has its own queue, 1/n if n vCPUs take turns.",
            ...third,
            unit: 'percentunit',
            max: 1,
            queries: [series(onDevice(vmGauge('kvm_vm_queue_locality_ratio')), '{{vm}} {{device}}')],
          }),
          new TimeSeries({
            title: 'Fairness of queues',
            description:
              "Jain's index over the queues of a device: 1 for even use, 1/n if one of n queues is used.",
            ...third,
            unit: 'percentunit',
            max: 1,
            thresholds: above([[queueImbalance.fairness, 'orange']], 'transparent'),
            queries: [series(onDevice(vmGauge('kvm_vm_queue_fairness_ratio')), '{{vm}} {{device}}')],
          }),
          new TimeSeries({
            title: 'Kicks by virtqueue',
            description: 'Kicks per second of each virtqueue.',
            ...third,
            unit: 'eps',
            queries: [series(sum(kicks, QUEUE), '{{vm}} queue {{queue}}')],
          }),
          new Table({
            title: 'Hardware queues',
            description:
              'CPUs of each hardware queue of the block devices that hold the disks of the chosen VMs.',
            width: 12,
            height: 9,
            queries: [
              rows(
                max(and(hostGauge('kvm_block_hardware_queue_info'), on(...DEVICE), devices), [
                  ...DEVICE,
                  'queue',
                  'cpus',
                ]),
              ),
            ],
            columns: [
              { from: 'device', title: 'Device' },
              { from: 'queue', title: 'Queue', width: 80 },
              { from: 'cpus', title: 'CPUs' },
            ],
            sortBy: 'Device',
            ascending: true,
          }),
          new Table({
            title: 'Interrupts of NVMe queues',
            description:
              'Effective CPUs and rate of the interrupt of each NVMe queue, for the devices of the chosen VMs.',
            width: 12,
            height: 9,
            queries: [
              rows(
                max(and(hostGauge('kvm_nvme_queue_affinity_info'), on(...CONTROLLER), controllers), [
                  ...CONTROLLER,
                  'queue',
                  'cpus',
                ]),
              ),
              rows(sum(and(interrupts, on(...CONTROLLER), controllers), [...CONTROLLER, 'queue'])),
            ],
            columns: [
              { from: 'controller', title: 'Controller' },
              { from: 'queue', title: 'Queue', width: 80 },
              { from: 'cpus', title: 'CPUs' },
              { from: 'Value #B', title: 'Interrupts', unit: 'eps' },
            ],
            sortBy: 'Interrupts',
          }),
        ],
      },
    ],
  });
