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
import { aggregate, dividedBy, histogramQuantile, sum, times, unmatching, where } from '../promql/promql.ts';
import { marks } from './annotations.ts';
import { dashboard } from './finish.ts';
import { Heatmap } from './panels/heatmap.ts';
import { above } from './panels/panel.ts';
import { Stat } from './panels/stat.ts';
import { Table } from './panels/table.ts';
import { Question } from './panels/text.ts';
import { TimeSeries } from './panels/time-series.ts';
import { buckets, now, OF_VMS, RATE, rows, series, vmGauge, vmRate, vmRateOf } from './queries.ts';
import { stageTimeline } from './stages.ts';
import { datasource, instance, job, vm as vmVariable } from './variables.ts';

const exits = ofVm.exits(RATE, OF_VMS);
const ios = ofVm.ios(RATE, OF_VMS);
const busy = where(ios, '>', MIN_IOPS);
const events = ofVm.ioPathEvents(RATE, OF_VMS);
const onIoPath = sum(ofVm.ioPathEvents(RATE, { ...OF_VMS, ...kicksInjectionsEois }), VM);
const cores = ofVm.cores(RATE, OF_VMS);
const diskIos = ofVm.diskIos(RATE, OF_VMS);
/** Excludes halts: during a halt a vCPU waits for work, and the time is not a cost. */
const notHalted = { reason: unmatching(HALTS) };
const switches = sum(vmRate('kvm_thread_context_switches_total'), [...VM, 'role', 'type']);
const THREAD = [...VM, 'thread'] as const;

/** Grafana's dates are in milliseconds. */
const milliseconds = times(vmGauge('kvm_vm_start_time_seconds'), 1000);

const third = { width: 8, height: 8, min: 0 } as const;
const half = { width: 12, height: 8, min: 0 } as const;
const stat = { width: 4, height: 4 } as const;

export const vm = (): Dashboard =>
  dashboard({
    name: 'vm',
    description: 'One VM: why it exits, what an I/O costs, what its threads wait for, how its disks answer.',
    variables: [datasource(), job(), instance(), vmVariable()],
    annotations: marks(),
    rows: [
      {
        panels: [
          new Question(
            '**What does an I/O of this VM cost, and where does the time go?** Choose one VM. Without polling each I/O takes a kick, an injection and an EOI; with it there are next to none. Then look at what the exits cost, whether halt polling pays, which thread runs or waits, and how the disks answer. Vertical lines: its stage or declared phase changed.',
          ),
        ],
      },
      {
        title: 'Now',
        panels: [
          new Stat({
            title: 'I/Os',
            description: 'I/Os a second as the guest asked for them.',
            ...{ ...stat, unit: 'iops', sparkline: true },
            queries: [series(sum(ios, []), 'I/Os')],
          }),
          new Stat({
            title: 'Exits',
            description: 'VM exits a second, of every kind.',
            ...{ ...stat, unit: 'cps', sparkline: true },
            queries: [series(sum(exits, []), 'exits')],
          }),
          new Stat({
            title: 'Exits per I/O',
            description: 'Kicks, injections and EOIs for each I/O, over all chosen VMs.',
            ...{ ...stat, unit: 'none', decimals: 2, sparkline: true },
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']]),
            queries: [series(perIo(onIoPath, busy, []), 'exits per I/O')],
          }),
          new Stat({
            title: 'CPU',
            description: 'CPU of all its threads; 100% is one core.',
            ...{ ...stat, unit: 'percentunit', decimals: 0, sparkline: true },
            queries: [series(sum(cores, []), 'CPU')],
          }),
          new Stat({
            title: 'Drifting threads',
            description: 'Threads that are not where they should be.',
            ...{ ...stat, unit: 'short', thresholds: above([[1, 'red']]) },
            queries: [now(sum(vmGauge('kvm_vm_affinity_drift_threads'), []), 'threads')],
          }),
          new Stat({
            title: 'Started',
            description: "When the VM's process began; after a migration that is when it arrived.",
            ...{ ...stat, unit: 'dateTimeFromNow' },
            queries: [now(aggregate('max', milliseconds, []), 'started')],
          }),
          stageTimeline({ width: 24, height: 4 }),
        ],
      },
      {
        title: 'Exits',
        panels: [
          new TimeSeries({
            title: 'Exits by reason',
            description: 'VM exits a second, by the reason that the hardware gave.',
            ...{ ...half, unit: 'cps', stacked: true, many: true },
            queries: [series(sum(vmRate('kvm_vm_exits_by_reason_total'), ['reason']), '{{reason}}')],
          }),
          new TimeSeries({
            title: 'Exits per I/O by step',
            description:
              'Exits of each step of the I/O path for each I/O: kick, injection and EOI are what exitless polling takes away.',
            ...{ ...half, unit: 'none', stacked: true },
            thresholds: above([[pollingRegressed.exitsPerIo, 'orange']], 'transparent'),
            queries: [series(perIo(events, busy, ['step']), '{{step}}')],
          }),
          new Heatmap({
            title: 'Exit latency',
            description:
              'Time from a VM exit to the next entry, without halts: how many a second took how long.',
            ...{ width: 12, height: 9, unit: 's' },
            queries: [buckets(sum(vmRateOf('kvm_vm_exit_duration_seconds', 'bucket', notHalted), ['le']))],
          }),
          new TimeSeries({
            title: 'Exit latency by reason',
            description:
              'The 99th percentile of the time from a VM exit to the next entry, by reason, halts included: there it is how long the vCPU had nothing to do.',
            ...{ width: 12, height: 9, unit: 's', logarithmic: true, many: true },
            thresholds: above([[exitLatency.p99, 'red']], 'transparent'),
            queries: [
              series(
                histogramQuantile<'reason'>(
                  0.99,
                  sum(vmRateOf('kvm_vm_exit_duration_seconds', 'bucket'), ['reason', 'le']),
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
              'Cores that polled until the awaited event came, that polled in vain, and vCPUs that were blocked.',
            ...{ ...third, unit: 'none', decimals: 3 },
            queries: [
              series(sum(vmRate('kvm_vm_halt_poll_success_seconds_total'), []), 'polled until it came'),
              series(sum(vmRate('kvm_vm_halt_poll_fail_seconds_total'), []), 'polled in vain'),
              series(sum(vmRate('kvm_vm_halt_wait_seconds_total'), []), 'blocked'),
            ],
          }),
          new TimeSeries({
            title: 'Polls that paid',
            description: 'Share of the polled halts that ended while KVM still polled.',
            ...{ ...third, unit: 'percentunit', max: 1 },
            queries: [
              series(
                dividedBy(
                  sum(vmRate('kvm_vm_halt_successful_poll_total'), VM),
                  where(sum(vmRate('kvm_vm_halt_attempted_poll_total'), VM), '>', 0),
                ),
                '{{vm}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Wasted polling by vCPU',
            description: 'Seconds a second and vCPU that were polled in vain.',
            ...{ ...third, unit: 'percentunit' },
            thresholds: above([[haltPollWaste.perVcpu, 'red']], 'transparent'),
            queries: [
              series(
                dividedBy(
                  sum(vmRate('kvm_vm_halt_poll_fail_seconds_total'), VM),
                  where(sum(vmGauge('kvm_vm_vcpus'), VM), '>', 0),
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
            description: 'Share of the time that each thread runs.',
            ...{ ...half, unit: 'percentunit', many: true },
            queries: [series(sum(vmRate('kvm_thread_run_seconds_total'), THREAD), '{{vm}} {{thread}}')],
          }),
          new TimeSeries({
            title: 'Wait by thread',
            description:
              'Share of the time that each thread is runnable and waits for a CPU: for a vCPU, what the guest sees as steal.',
            ...{ ...half, unit: 'percentunit', many: true },
            thresholds: above([[vcpuStarved.wait, 'red']], 'transparent'),
            queries: [series(sum(vmRate('kvm_thread_wait_seconds_total'), THREAD), '{{vm}} {{thread}}')],
          }),
          new TimeSeries({
            title: 'CPU by mode',
            description:
              'Cores in the guest, and in the host for it: user and system are what virtualisation costs.',
            ...{ ...half, unit: 'suffix:cores', stacked: true },
            queries: [series(sum(vmRate('kvm_thread_cpu_seconds_total'), ['mode']), '{{mode}}')],
          }),
          new TimeSeries({
            title: 'Context switches per I/O',
            description:
              'Context switches of the threads for each I/O, by role: voluntary ones block, involuntary ones are pushed off their CPU.',
            ...{ ...half, unit: 'none' },
            queries: [series(perIo(switches, busy, ['role', 'type']), '{{role}} {{type}}')],
          }),
        ],
      },
      {
        title: 'Disks',
        panels: [
          new TimeSeries({
            title: 'Operations',
            description: 'Reads and writes a second that the VMM completed, by disk.',
            ...{ ...third, unit: 'iops' },
            queries: [series(diskIos, '{{vm}} {{disk}}')],
          }),
          new TimeSeries({
            title: 'Mean latency',
            description: 'Mean time of a read or write as the VMM sees it, by disk.',
            ...{ ...third, unit: 's' },
            thresholds: above([[diskLatency.mean, 'red']], 'transparent'),
            queries: [
              series(
                dividedBy(ofVm.diskSeconds(RATE, OF_VMS), where(diskIos, '>', MIN_IOPS_OF_LATENCY)),
                '{{vm}} {{disk}}',
              ),
            ],
          }),
          new TimeSeries({
            title: 'Throughput',
            description: 'Bytes a second read and written, by disk.',
            ...{ ...third, unit: 'Bps' },
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
            ...{ width: 12, height: 8, unit: 's' },
            queries: [buckets(sum(vmRateOf('kvm_vm_block_request_duration_seconds', 'bucket'), ['le']))],
            emptyIsGood: 'Not measured: add block_duration to trace.sets',
          }),
          new Table({
            title: 'Disks and IOThreads',
            description: 'Which IOThreads serve each disk, and from where it is backed.',
            ...{ width: 12, height: 8 },
            queries: [
              rows(aggregate('max', vmGauge('kvm_vm_disk_info'), [...VM, 'disk', 'file', 'iothread'])),
              rows(aggregate('max', vmGauge('kvm_vm_disk_queues'), [...VM, 'disk'])),
            ],
            columns: [
              { from: 'vm', title: 'VM' },
              { from: 'disk', title: 'Disk' },
              { from: 'Value #B', title: 'Queues', unit: 'short' },
              { from: 'iothread', title: 'IOThreads' },
              { from: 'file', title: 'File' },
            ],
            ...{ sortBy: 'Disk', ascending: true },
          }),
        ],
      },
    ],
  });
