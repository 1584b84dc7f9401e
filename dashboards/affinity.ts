import type { Dashboard } from '@grafana/schema';
import { HOST, VM } from '../alerts/recording.ts';
import { queueImbalance } from '../alerts/thresholds.ts';
import { aggregate, and, countValues, matching, overRange, sum, topk, where } from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { dashboard } from './finish.ts';
import { seriesToVm } from './links.ts';
import { memoryOnNodes } from './memory.ts';
import { BarChart } from './panels/bar-chart.ts';
import { above, named } from './panels/panel.ts';
import { StateTimeline } from './panels/state-timeline.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { hostGauge, hostRate, ON_IO_PATH, RANGE, RATE, rows, series, vmGauge, vmRate } from './queries.ts';
import { datasource, instance, job, vm } from './variables.ts';

const THREAD = [...VM, 'thread'] as const;
const drift = sum(vmGauge('kvm_thread_affinity_drift'), [...THREAD, 'kind']);
const migrations = sum(vmRate('kvm_thread_observed_migrations_total', ON_IO_PATH), THREAD);
const kicks = vmRate('kvm_virtqueue_kicks_total');
const QUEUE = [...VM, 'queue'] as const;

/** Block devices that hold the disks of the selected VMs. */
const DEVICE = [...HOST, 'device'] as const;
const CONTROLLER = [...HOST, 'controller'] as const;
const devices = vmGauge('kvm_vm_block_device_info');
const controllers = and(hostGauge('kvm_block_info'), DEVICE, devices);
const interrupts = hostRate('kvm_nvme_queue_interrupts_total', { queue: '!="0"' });

const third = { width: 8, height: 8, min: 0 } as const;

export const affinity = (): Dashboard =>
  dashboard({
    name: 'affinity',
    description:
      'Which CPU each thread is on, whether it should be there, and which queues serve which vCPU.',
    variables: [datasource(), job(), instance(), vm()],
    annotations: marks(),
    rows: [
      {
        panels: [
          new Question(
            '**Is every thread where it should be, and does each vCPU keep its queues?** A pinned thread is one long bar: each new colour is a move to another CPU. Below: what drifted and how, who shares a CPU, which share of memory and completions is on the right NUMA node, and which vCPU kicks which queue. Choose a VM or a few.',
          ),
        ],
      },
      {
        title: 'Threads on CPUs',
        panels: [
          new StateTimeline({
            title: 'CPU of each thread',
            description: 'The CPU that each vCPU and I/O thread ran on last: one bar as long as it stays.',
            ...{ width: 24, height: 13, unit: 'none', decimals: 0, colourful: true, min: 0 },
            queries: [
              series(aggregate('max', vmGauge('kvm_thread_cpu', ON_IO_PATH), THREAD), '{{vm}} {{thread}}'),
            ],
          }),
        ],
      },
      {
        title: 'Drift',
        panels: [
          new StateTimeline({
            title: 'Threads that drifted',
            description:
              'Threads that were not where they should be at some time of the range, by kind of drift (docs/sources.md).',
            ...{ width: 12, height: 10, unit: 'none' },
            queries: [
              series(
                and(drift, [...THREAD, 'kind'], where(overRange('max', drift, RANGE, RATE), '>', 0)),
                '{{vm}} {{thread}} {{kind}}',
              ),
            ],
            mappings: [named({ 0: ['in place', 'semi-dark-green'], 1: ['drifts', 'red'] })],
            emptyIsGood: 'No thread drifted',
          }),
          new TimeSeries({
            title: 'Migrations',
            description:
              'Moves to another CPU a second that the exporter saw, a lower bound: the ten threads with the most.',
            ...{ width: 12, height: 10, min: 0, unit: 'ops', many: true },
            queries: [
              series(
                and(migrations, THREAD, topk(10, overRange('avg', migrations, RANGE, RATE))),
                '{{vm}} {{thread}}',
              ),
            ],
          }),
          new Table({
            title: 'CPUs shared by threads',
            description:
              'CPUs on which more than one vCPU or I/O thread of the chosen VMs ran last, at the end of the range.',
            ...{ width: 8, height: 8 },
            queries: [rows(where(countValues('cpu', vmGauge('kvm_thread_cpu', ON_IO_PATH), HOST), '>', 1))],
            columns: [
              { from: 'instance', title: 'Host' },
              { from: 'cpu', title: 'CPU' },
              { from: 'Value', title: 'Threads', unit: 'short' },
            ],
            ...{ sortBy: 'Threads', emptyIsGood: 'No CPU is shared' },
          }),
          new Table({
            title: 'Drift by kind',
            description: 'Threads that are not where they should be at the end of the range, by VM and kind.',
            ...{ width: 8, height: 8 },
            queries: [rows(where(sum(vmGauge('kvm_thread_affinity_drift'), [...VM, 'kind']), '>', 0))],
            columns: [
              { from: 'vm', title: 'VM' },
              { from: 'kind', title: 'Kind' },
              { from: 'Value', title: 'Threads', unit: 'short' },
            ],
            ...{ sortBy: 'Threads', emptyIsGood: 'No thread drifts' },
          }),
          new TimeSeries({
            title: 'CPUs in the masks',
            description:
              'How many CPUs the affinity masks of vCPUs and I/O threads allow, mean by VM: 1 where each is pinned to one.',
            ...{ ...third, unit: 'short', steps: true, links: [seriesToVm] },
            queries: [series(aggregate('avg', vmGauge('kvm_thread_allowed_cpus', ON_IO_PATH), VM), '{{vm}}')],
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
            ...{ ...third, unit: 'percentunit', max: 1 },
            queries: [
              series(
                aggregate('max', vmGauge('kvm_vm_io_completion_local_ratio'), [...VM, 'scope']),
                '{{vm}} {{scope}}',
              ),
            ],
          }),
          new StateTimeline({
            title: 'NUMA node of I/O threads',
            description: 'The node of the CPU that each I/O thread ran on last.',
            ...{ width: 8, height: 8, unit: 'none', decimals: 0, colourful: true, min: 0 },
            queries: [
              series(
                aggregate(
                  'max',
                  vmGauge('kvm_thread_numa_node', { role: matching('iothread|vhost|sqpoll') }),
                  THREAD,
                ),
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
              'Who notifies which virtqueue: of one colour where each vCPU has its own (Fig. 7 c), of all where they take turns (Fig. 7 b); bars of one height are used alike (Fig. 8). Mean of the time range; choose one VM.',
            ...{ width: 24, height: 9, unit: 'cps', x: 'queue\\vcpu', stacked: true, legend: true, min: 0 },
            queries: [rows(sum(overRange('avg', kicks, RANGE, RATE), ['queue', 'vcpu']))],
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
              "Share of a queue's kicks that came from its top vCPU: 1 with a queue for each vCPU, 1/n where n vCPUs take turns.",
            ...{ ...third, unit: 'percentunit', max: 1 },
            queries: [
              series(
                aggregate('max', vmGauge('kvm_vm_queue_locality_ratio'), [...VM, 'device']),
                '{{vm}} {{device}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Fairness of queues',
            description:
              "Jain's index over the queues of a device: 1 where all are used alike, 1/n where one of n is.",
            ...{ ...third, unit: 'percentunit', max: 1 },
            thresholds: above([[queueImbalance.fairness, 'orange']], 'transparent'),
            queries: [
              series(
                aggregate('max', vmGauge('kvm_vm_queue_fairness_ratio'), [...VM, 'device']),
                '{{vm}} {{device}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Kicks by virtqueue',
            description: 'Notifications a second of each virtqueue.',
            ...{ ...third, unit: 'cps' },
            queries: [series(sum(kicks, QUEUE), '{{vm}} queue {{queue}}')],
          }),
          new Table({
            title: 'Hardware queues',
            description: 'Which CPUs feed each hardware queue of the block devices under the chosen VMs.',
            ...{ width: 12, height: 9 },
            queries: [
              rows(
                aggregate('max', and(hostGauge('kvm_block_hardware_queue_info'), DEVICE, devices), [
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
            ...{ sortBy: 'Device', ascending: true },
          }),
          new Table({
            title: 'Interrupts of NVMe queues',
            description:
              'The CPU that the interrupt of each NVMe queue is delivered to, and how often; of the chosen VMs.',
            ...{ width: 12, height: 9 },
            queries: [
              rows(
                aggregate('max', and(hostGauge('kvm_nvme_queue_affinity_info'), CONTROLLER, controllers), [
                  ...CONTROLLER,
                  'queue',
                  'cpus',
                ]),
              ),
              rows(sum(and(interrupts, CONTROLLER, controllers), [...CONTROLLER, 'queue'])),
            ],
            columns: [
              { from: 'controller', title: 'Controller' },
              { from: 'queue', title: 'Queue', width: 80 },
              { from: 'cpus', title: 'CPUs' },
              { from: 'Value #B', title: 'Interrupts', unit: 'cps' },
            ],
            sortBy: 'Interrupts',
          }),
        ],
      },
    ],
  });
