import { readdirSync, readFileSync } from 'node:fs';
import { NSEC_PER_SEC, USER_HZ } from '../kernel/units.ts';

/** Expected values of counters, by their names in /metrics. */
export type Truth = ReadonlyMap<string, number>;

interface Statistic {
  readonly name: string;
  readonly value: unknown;
}

const DISK_FIELDS = [
  ['reads_completed', 1],
  ['reads_merged', 1],
  ['read_bytes', 512],
  ['read_time_seconds', 1e-3],
  ['writes_completed', 1],
  ['writes_merged', 1],
  ['written_bytes', 512],
  ['write_time_seconds', 1e-3],
] as const;

/**
 * Counts of the kernel and QEMU, read without the exporter's code.
 * @param threads thread ids by their `thread` label
 * @param vcpus reply of `query-stats` for target vcpu
 */
export function trueCounters(
  vm: string,
  pid: number,
  threads: ReadonlyMap<string, number>,
  vcpus: readonly { readonly stats: readonly Statistic[] }[],
): Truth {
  const truth = new Map<string, number>();
  for (const [label, tid] of threads)
    addThread(truth, `vm="${vm}",thread="${label}"`, `/proc/${pid}/task/${tid}`);
  for (const { stats } of vcpus) {
    for (const { name, value } of stats) {
      if (typeof value !== 'number') continue;
      const isTime = name.endsWith('_ns');
      const metric = isTime ? `${name.slice(0, -3)}_seconds` : name;
      add(truth, `kvm_vm_${metric}_total{vm="${vm}"}`, isTime ? value / NSEC_PER_SEC : value);
    }
  }
  for (const line of readFileSync('/proc/interrupts', 'utf8').split('\n')) {
    const [, type, counts = ''] = /^ *(RES|CAL|LOC): +((?:\d+ +)+)/.exec(line) ?? [];
    for (const count of counts.trim().split(/ +/)) {
      if (type !== undefined) add(truth, `kvm_interrupts_total{type="${type}"}`, Number(count));
    }
  }
  for (const line of readFileSync('/proc/diskstats', 'utf8').trim().split('\n')) {
    const [, , device = '', ...counts] = line.trim().split(/ +/);
    for (const [i, [name, unit]] of DISK_FIELDS.entries()) {
      truth.set(`kvm_block_${name}_total{device="${device}"}`, Number(counts[i]) * unit);
    }
  }
  return truth;
}

function addThread(truth: Map<string, number>, labels: string, path: string): void {
  const read = (file: string): string => readFileSync(`${path}/${file}`, 'latin1');
  const [run = 0, wait = 0, slices = 0] = read('schedstat').trim().split(' ').map(Number);
  truth.set(`kvm_thread_run_seconds_total{${labels}}`, run / NSEC_PER_SEC);
  truth.set(`kvm_thread_wait_seconds_total{${labels}}`, wait / NSEC_PER_SEC);
  truth.set(`kvm_thread_timeslices_total{${labels}}`, slices);
  const stat = read('stat');
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [utime = 0, stime = 0, guest = 0] = [fields[11], fields[12], fields[40]];
  for (const [mode, ticks] of [
    ['user', utime - guest],
    ['system', stime],
    ['guest', guest],
  ] as const) {
    truth.set(`kvm_thread_cpu_seconds_total{${labels},mode="${mode}"}`, ticks / USER_HZ);
  }
  const status = read('status');
  for (const [type, key] of [
    ['voluntary', 'voluntary_ctxt_switches'],
    ['involuntary', 'nonvoluntary_ctxt_switches'],
  ] as const) {
    const value = Number(new RegExp(`^${key}:\\s*(\\d+)$`, 'm').exec(status)?.[1]);
    truth.set(`kvm_thread_context_switches_total{${labels},type="${type}"}`, value);
  }
}

function add(truth: Map<string, number>, key: string, value: number): void {
  truth.set(key, (truth.get(key) ?? 0) + value);
}

/** Thread ids of QEMU's permanent threads by the exporter's labels. */
export function threadsOf(pid: number): Map<string, number> {
  const threads = new Map([['emulator', pid]]);
  for (const tid of readdirSync(`/proc/${pid}/task`).map(Number)) {
    const comm = readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
    const vcpu = /^CPU (\d+)\/KVM$/.exec(comm)?.[1];
    if (vcpu !== undefined) threads.set(`vcpu${vcpu}`, tid);
    if (comm === 'IO io0') threads.set('iothread:io0', tid);
  }
  return threads;
}
