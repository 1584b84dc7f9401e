import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootsOf } from '../exporter/config/roots.ts';
import { NSEC_PER_TICK } from '../kernel/units.ts';
import { parseCpuList } from '../probes/cpu-list.ts';
import { createHost } from '../probes/host.ts';
import { readTaskMigrations } from '../probes/proc-task-sched.ts';
import { readTaskSchedstat } from '../probes/proc-task-schedstat.ts';
import { readTaskStat } from '../probes/proc-task-stat.ts';
import { readTaskStatus } from '../probes/proc-task-status.ts';

export interface ThreadFields {
  readonly pid: number;
  readonly tid: number;
  readonly comm?: string;
  /** Ticks. */
  readonly start?: number;
  readonly cpu?: number;
  readonly policy?: number;
  /** 120 by default. */
  readonly priority?: number;
  /** Nanoseconds. */
  readonly times?: Partial<Record<(typeof TIMES)[number], number>>;
  readonly previous?: { readonly utime: number; readonly stime: number };
  readonly schedInfo?: { readonly wait: number; readonly timeslices: number };
  readonly isBehind?: boolean;
  /** Missing: a kernel without core scheduling. */
  readonly hasCoreCookie?: boolean | undefined;
  readonly switches?: readonly [voluntary: number, involuntary: number];
  readonly migrations?: number;
  readonly allowed?: readonly number[];
  readonly words?: number;
}

const TIMES = ['run', 'utime', 'stime', 'gtime'] as const;
const FIXED = 152;

/** A row of a thread, as probes/bpf/rows.h describes it. */
export function threadRow(thread: ThreadFields): Buffer {
  const { pid, tid, times = {}, previous, schedInfo, switches = [0, 0], allowed = [0], words = 1 } = thread;
  const row = Buffer.alloc(FIXED + 8 * words);
  const u32 = (value: number, at: number): unknown => row.writeUInt32LE(value, at);
  const u64 = (value: number, at: number): unknown => row.writeBigUInt64LE(BigInt(value), at);
  u32(3, 0);
  u32(row.length, 4);
  u32(pid, 8);
  u32(tid, 16);
  const fields: [isSet: boolean, bit: number][] = [
    [schedInfo !== undefined, 1],
    [previous !== undefined, 2],
    [thread.isBehind === true, 4],
    [thread.hasCoreCookie !== undefined, 8],
    [thread.hasCoreCookie === true, 16],
  ];
  u32(
    fields.reduce((bits, [isSet, bit]) => bits | (isSet ? bit : 0), 0),
    20,
  );
  u32(thread.cpu ?? 0, 24);
  u32(thread.policy ?? 0, 28);
  row.writeInt32LE(thread.priority ?? 120, 32);
  u32(words, 36);
  u64(times.run ?? 0, 40);
  u64(schedInfo?.wait ?? 0, 48);
  u64(schedInfo?.timeslices ?? 0, 56);
  u64(switches[0], 64);
  u64(switches[1], 72);
  u64(thread.migrations ?? 0, 80);
  u64(times.utime ?? 0, 88);
  u64(times.stime ?? 0, 96);
  u64(times.gtime ?? 0, 104);
  u64(previous?.utime ?? 0, 112);
  u64(previous?.stime ?? 0, 120);
  u64(thread.start ?? 0, 128);
  row.write(thread.comm ?? '', 136, 'latin1');
  for (const cpu of allowed) row[FIXED + (cpu >> 3)] = (row[FIXED + (cpu >> 3)] ?? 0) | (1 << (cpu & 7));
  return row;
}

/**
 * Converts the threads' files in a copy of a host to the rows of the kernel, and removes the files. Processes that
 * are kernel threads keep theirs: their names are longer in /proc.
 */
export function moveThreadsToRows(rootfs: string): void {
  const proc = join(rootfs, 'proc');
  const host = createHost(rootsOf({ 'path.rootfs': rootfs }));
  const rows: Buffer[] = [];
  for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name))) {
    const folder = join(proc, pid, 'task');
    let tids: string[] = [];
    try {
      tids = readdirSync(folder);
    } catch {
      continue;
    }
    for (const tid of tids.map(Number).sort((a, b) => a - b)) {
      const path = join(folder, String(tid));
      const stat = readTaskStat(host, path);
      const { run, wait, timeslices } = readTaskSchedstat(host, path);
      const status = readTaskStatus(host, path);
      const ns = (ticks: number): number => ticks * NSEC_PER_TICK;
      rows.push(
        threadRow({
          pid: Number(pid),
          tid,
          comm: stat.comm,
          start: stat.startTime,
          cpu: stat.processor,
          policy: stat.policy,
          priority: stat.priority,
          times: { run, utime: ns(stat.utime), stime: ns(stat.stime), gtime: ns(stat.guestTime) },
          schedInfo: { wait, timeslices },
          switches: [status.voluntarySwitches, status.involuntarySwitches],
          migrations: readTaskMigrations(host, path),
          allowed: parseCpuList(status.cpusAllowedList),
        }),
      );
      for (const file of ['stat', 'schedstat', 'status']) rmSync(join(path, file));
      // Keep the rest of the file: the rows have the migrations only.
      const sched = readFileSync(join(path, 'sched'), 'latin1');
      writeFileSync(join(path, 'sched'), sched.replace(/^se\.nr_migrations.*\n/m, ''), 'latin1');
    }
  }
  mkdirSync(join(rootfs, 'bpf'));
  writeFileSync(join(rootfs, 'bpf/threads'), Buffer.concat(rows));
}
