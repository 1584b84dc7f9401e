import type { Dashboard } from '@grafana/schema';
import { HALTS, kicksInjectionsEois, ofVm, perIo, VM } from '../alerts/recording.ts';
import {
  diskLatency,
  exitLatency,
  haltPollWaste,
  MIN_IOPS,
  MIN_IOPS_OF_LATENCY,
  pollingRegressed,
  vcpuStarved,
} from '../alerts/thresholds.ts';
import { compare, div, histogramQuantile, max, mul, notRegexp, sum } from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { apicvInhibited, frequencyByRole, idleStatesByRole, interruptsByRole } from './cpu-state.ts';
import { dashboard } from './finish.ts';
import { firingAlerts } from './firing.ts';
import { memoryOfVm, migrationDowntime, migrationLeft, migrationRates } from './memory.ts';
import { Heatmap } from './panels/heatmap.ts';
import { above } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { pressureOfVm, throttledByGroup } from './pressure.ts';
import { buckets, now, OF_VMS, RATE, rows, series, vmGauge, vmRate } from './queries.ts';
import { stageTimeline } from './stages.ts';
import { techniqueTable, techniqueTimeline } from './techniques.ts';
import { cluster, datasource, instance, job, vm as vmVariable } from './variables.ts';

const exits = ofVm.exits(RATE, OF_VMS);
const ios = ofVm.ios(RATE, OF_VMS);
const busy = compare(ios, '>', MIN_IOPS);
const events = ofVm.ioPathEvents(RATE, OF_VMS);
const onIoPath = sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, ...kicksInjectionsEois }), VM);
const cores = ofVm.cores(RATE, OF_VMS);
const diskIos = ofVm.diskIos(RATE, OF_VMS);
/** Excludes halts: during a halt a vCPU waits for work, and the time is not a cost. */
const notHalted = { reason: notRegexp(HALTS) };
const switches = sum(vmRate('kvm_thread_context_switches_total'), [...VM, 'role', 'type']);
const THREAD = [...VM, 'thread'] as const;

/** Grafana's dates are in milliseconds. */
const milliseconds = mul(vmGauge('kvm_vm_start_time_seconds'), 1000);

const third = { width: 8, height: 8, min: 0 } as const;
const half = { width: 12, height: 8, min: 0 } as const;
const stat = { width: 4, height: 4 } as const;

export const vm = (): Dashboard =>
  dashboard({
    name: 'vm',
    description: 'One VM: exits, cost of an I/O, CPU and wait of its threads, latency of its disks.',
    variables: [datasource(), cluster(), job(), instance(), vmVariable()],
    annotations: marks(),
    rows: [
      {
        panels: [
          new Question(
            '**What does an I/O of this VM cost, and where does the time go?** Choose one VM. Without polling, each I/O takes a kick, an injection and an EOI; with polling, almost none. The rows below show the cost of exits, the benefit of halt polling, the threads that run or wait, and the latency of the disks. A vertical line marks a change of the stage or the declared phase.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          new Stat({
            title: 'I/Os',
            description: 'I/Os per second as requested by the guest.',
            ...stat,
            unit: 'iops',
            sparkline: true,
            queries: [series(sum(ios, []), 'I/Os')],
          }),
          new Stat({
            title: 'Exits',
            description: 'VM exits per second, for all reasons.',
            ...stat,
            unit: 'eps',
            sparkline: true,
            queries: [series(sum(exits, []), 'exits')],
          }),
          new Stat({
            title: 'Exits per I/O',
            description: 'Kicks, injections and EOIs per I/O, over all chosen VMs.',
            ...stat,
            unit: 'none',
            decimals: 2,
            sparkline: true,
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']]),
            queries: [series(perIo(onIoPath, busy, []), 'exits per I/O')],
          }),
          new Stat({
            title: 'CPU',
            description: 'CPU use of all threads of the VM. 100% is one core.',
            ...stat,
            unit: 'percentunit',
            decimals: 0,
            sparkline: true,
            queries: [series(sum(cores, []), 'CPU')],
          }),
          new Stat({
            title: 'Drifting threads',
            description: 'Threads that violate their expected affinity.',
            ...stat,
            unit: 'short',
            thresholds: above([[1, 'red']]),
            queries: [now(sum(vmGauge('kvm_vm_affinity_drift_threads'), []), 'threads')],
          }),
          new Stat({
            title: 'Started',
            description:
              'Start time of the VMM process. After a migration, this is the arrival on this host.',
            ...stat,
            unit: 'dateTimeFromNow',
            queries: [now(max(milliseconds, []), 'started')],
          }),
          firingAlerts(OF_VMS),
        ],
      },
      {
        title: 'Techniques and stage',
        panels: [
          techniqueTimeline({ width: 14, height: 8 }),
          techniqueTable({ width: 10, height: 8 }),
          stageTimeline({ width: 24, height: 4 }),
        ],
      },
      {
        title: 'Exits',
        panels: [
          new TimeSeries({
            title: 'Exits by reason',
            description: 'VM exits per second, by the exit reason of the hardware.',
            ...half,
            unit: 'eps',
            stacked: true,
            many: true,
            queries: [series(sum(vmRate('kvm_vm_exits_by_reason_total'), ['reason']), '{{reason}}')],
          }),
          new TimeSeries({
            title: 'Exits per I/O by step',
            description:
              'Exits per I/O, by step of the I/O path. Exitless polling removes kick, injection and EOI.',
            ...half,
            unit: 'none',
            stacked: true,
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']], 'transparent'),
            queries: [series(perIo(events, busy, ['step']), '{{step}}')],
          }),
          new Heatmap({
            title: 'Exit latency',
            description: 'Distribution of the time from a VM exit to the next entry, halts excluded.',
            width: 12,
            height: 9,
            unit: 's',
            queries: [buckets(sum(vmRate('kvm_vm_exit_duration_seconds_bucket', notHalted), ['le']))],
          }),
          new TimeSeries({
            title: 'Exit latency by reason',
            description:
              'The 99th percentile of the time from a VM exit to the next entry, by reason, halts included. For a halt it is the idle time of the vCPU.',
            width: 12,
            height: 9,
            unit: 's',
            logarithmic: true,
            many: true,
            thresholds: above([[exitLatency.p99, 'red']], 'transparent'),
            queries: [
              series(
                histogramQuantile<'reason'>(
                  0.99,
                  sum(vmRate('kvm_vm_exit_duration_seconds_bucket'), ['reason', 'le']),
                ),
                '{{reason}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Halt polling',
        panels: [
          new TimeSeries({
            title: 'Time of halts',
            description:
              'Cores that spent their time on successful halt polls, on failed halt polls, and vCPUs that were blocked.',
            ...third,
            unit: 'none',
            decimals: 3,
            queries: [
              series(sum(vmRate('kvm_vm_halt_poll_success_seconds_total'), []), 'successful polls'),
              series(sum(vmRate('kvm_vm_halt_poll_fail_seconds_total'), []), 'failed polls'),
              series(sum(vmRate('kvm_vm_halt_wait_seconds_total'), []), 'blocked'),
            ],
          }),
          new TimeSeries({
            title: 'Successful halt polls',
            description: 'Share of the polled halts that ended during the poll.',
            ...third,
            unit: 'percentunit',
            max: 1,
            queries: [
              series(
                div(
                  sum(vmRate('kvm_vm_halt_successful_poll_total'), VM),
                  compare(sum(vmRate('kvm_vm_halt_attempted_poll_total'), VM), '>', 0),
                ),
                '{{vm}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Wasted polling by vCPU',
            description: 'Seconds of failed halt polls per second and vCPU.',
            ...third,
            unit: 'percentunit',
            thresholds: above([[haltPollWaste.perVcpu, 'red']], 'transparent'),
            queries: [
              series(
                div(
                  sum(vmRate('kvm_vm_halt_poll_fail_seconds_total'), VM),
                  compare(sum(vmGauge('kvm_vm_vcpus'), VM), '>', 0),
                ),
                '{{vm}}',
              ),
            ],
          }),
        ],
      },
      {
        title: 'Threads',
        panels: [
          new TimeSeries({
            title: 'CPU by thread',
            description: 'Share of time that each thread runs.',
            ...half,
            unit: 'percentunit',
            many: true,
            queries: [series(sum(vmRate('kvm_thread_run_seconds_total'), THREAD), '{{vm}} {{thread}}')],
          }),
          new TimeSeries({
            title: 'Wait by thread',
            description:
              'Share of time that each thread is runnable and waits for a CPU, or is stopped by a CPU quota. The guest sees the wait of its vCPUs as steal time.',
            ...half,
            unit: 'percentunit',
            many: true,
            thresholds: above([[vcpuStarved.wait, 'red']], 'transparent'),
            queries: [series(sum(vmRate('kvm_thread_wait_seconds_total'), THREAD), '{{vm}} {{thread}}')],
          }),
          throttledByGroup(half),
          pressureOfVm(half),
          frequencyByRole(half),
          new TimeSeries({
            title: 'CPU by mode',
            description:
              'Cores in guest, user and system mode. User and system time are the cost of virtualization.',
            ...half,
            unit: 'suffix:cores',
            stacked: true,
            queries: [series(sum(vmRate('kvm_thread_cpu_seconds_total'), ['mode']), '{{mode}}')],
          }),
          new TimeSeries({
            title: 'Context switches per I/O',
            description:
              'Context switches per I/O, by role and type. A thread that blocks switches voluntarily; a preempted one involuntarily.',
            ...half,
            unit: 'none',
            queries: [series(perIo(switches, busy, ['role', 'type']), '{{role}} {{type}}')],
          }),
        ],
      },
      {
        title: 'Disks',
        panels: [
          new TimeSeries({
            title: 'Operations',
            description: 'Reads and writes per second completed by the VMM, by disk.',
            ...third,
            unit: 'iops',
            queries: [series(diskIos, '{{vm}} {{disk}}')],
          }),
          new TimeSeries({
            title: 'Mean latency',
            description: 'Mean time of a read or write as measured by the VMM, by disk.',
            ...third,
            unit: 's',
            thresholds: above([[diskLatency.mean, 'red']], 'transparent'),
            queries: [
              series(
                div(ofVm.diskSeconds(RATE, OF_VMS), compare(diskIos, '>', MIN_IOPS_OF_LATENCY)),
                '{{vm}} {{disk}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Throughput',
            description: 'Bytes read and written per second, by disk.',
            ...third,
            unit: 'Bps',
            queries: [
              series(sum(vmRate('kvm_vm_disk_read_bytes_total'), [...VM, 'disk']), '{{vm}} {{disk}} read'),
              series(
                sum(vmRate('kvm_vm_disk_written_bytes_total'), [...VM, 'disk']),
                '{{vm}} {{disk}} written',
              ),
            ],
          }),
          new Heatmap({
            title: 'Block request latency in the host',
            description: "Time from issue to completion of the VM's requests in the host's block layer.",
            width: 12,
            height: 8,
            unit: 's',
            queries: [buckets(sum(vmRate('kvm_vm_block_request_duration_seconds_bucket'), ['le']))],
            emptyIsGood: 'Not measured: add block_duration to trace.sets',
          }),
          new Table({
            title: 'Disks and IOThreads',
            description: 'The IOThreads and the image file of each disk.',
            width: 12,
            height: 8,
            queries: [
              rows(max(vmGauge('kvm_vm_disk_info'), [...VM, 'disk', 'file', 'iothread'])),
              rows(max(vmGauge('kvm_vm_disk_queues'), [...VM, 'disk'])),
            ],
            columns: [
              { from: 'vm', title: 'VM' },
              { from: 'disk', title: 'Disk' },
              { from: 'Value #B', title: 'Queues', unit: 'short' },
              { from: 'iothread', title: 'IOThreads' },
              { from: 'file', title: 'File' },
            ],
            sortBy: 'Disk',
            ascending: true,
          }),
        ],
      },
      {
        title: 'CPUs, memory and live migration (profile full)',
        collapsed: true,
        panels: [
          idleStatesByRole(half),
          interruptsByRole(half),
          memoryOfVm(half),
          apicvInhibited(half),
          migrationLeft(third),
          migrationRates(third),
          migrationDowntime(third),
        ],
      },
    ],
  });
