import { formatCpuList } from '../../../kernel/cpu-list.ts';
import { NSEC_PER_TICK } from '../../../kernel/units.ts';
import { cpuMask } from '../topology.ts';
import type { Files } from './process.ts';

/** A thread as the files in /proc/<pid>/task/<tid> show it. */
export interface Task {
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly state: 'R' | 'S' | 'X' | 'Z';
  readonly flags: number;
  /** Number of threads of the process. */
  readonly threads: number;
  /** Clock ticks since boot. */
  readonly startTicks: number;
  /** Clock ticks. `user` includes `guest`. */
  readonly user: number;
  readonly system: number;
  readonly guest: number;
  readonly runNs: number;
  readonly waitNs: number;
  readonly slices: number;
  readonly voluntary: number;
  readonly involuntary: number;
  readonly migrations: number;
  /** The CPU of its last run, and the node of that CPU. */
  readonly cpu: number;
  readonly node: number;
  /** Affinity, ascending. */
  readonly allowed: readonly number[];
  /** Number of CPUs and nodes of the host. */
  readonly cpus: number;
  readonly nodes: number;
  /** Of the process. */
  readonly swappedBytes?: number;
}

/** The fields of `stat` for a thread. */
type StatOf = Pick<
  Task,
  'pid' | 'tid' | 'comm' | 'state' | 'flags' | 'threads' | 'startTicks' | 'user' | 'system' | 'guest' | 'cpu'
>;

/** PF_FORKNOEXEC, PF_SIGNALED and the like of the captured QEMU: no PF_KTHREAD. */
export const QEMU_FLAGS = 138412224;

const STATES = { R: 'R (running)', S: 'S (sleeping)', X: 'X (dead)', Z: 'Z (zombie)' } as const;

export function ticks(ns: number): number {
  return Math.floor(ns / NSEC_PER_TICK);
}

/** Writes the files of a thread. @param folder of the thread, or of its process */
export function writeTask(files: Files, folder: string, task: Task): void {
  files.put(`${folder}/stat`, statText(task), 0o444);
  files.put(`${folder}/status`, statusText(task), 0o444);
  files.put(`${folder}/schedstat`, schedstatText(task), 0o444);
  files.put(`${folder}/sched`, schedText(task));
  files.put(`${folder}/comm`, `${task.comm}\n`);
}

/** `/proc/<pid>/stat`, fs/proc/array.c do_task_stat(). */
export function statText(task: StatOf): string {
  const { pid } = task;
  return (
    `${task.tid} (${task.comm}) ${task.state} 1 ${pid} ${pid} 0 -1 ${task.flags} 11718 0 397 0 ${task.user} ${task.system} 0 0 20 0 ` +
    `${task.threads} 0 ${task.startTicks} 874180608 35569 18446744073709551615 94826581405696 94826587266133 ` +
    `140730019915248 0 0 0 268444224 3674112 16963 0 0 0 17 ${task.cpu} 0 0 0 ${task.guest} 0 94826590378232 94826595582384 ` +
    '94826616807424 140730019920952 140730019921723 140730019921723 140730019921884 0\n'
  );
}

/** `/proc/<pid>/schedstat`, kernel/sched/stats.h: run time, wait time, time slices. */
function schedstatText({ runNs, waitNs, slices }: Task): string {
  return `${runNs} ${waitNs} ${slices}\n`;
}

/** `/proc/<pid>/status`, fs/proc/array.c proc_pid_status(). */
function statusText(task: Task): string {
  const { allowed } = task;
  return `\
Name:	${task.comm}
Umask:	0027
State:	${STATES[task.state]}
Tgid:	${task.pid}
Ngid:	0
Pid:	${task.tid}
PPid:	1
TracerPid:	0
Uid:	0	0	0	0
Gid:	0	0	0	0
FDSize:	64
Groups:	 
NStgid:	${task.pid}
NSpid:	${task.tid}
NSpgid:	${task.pid}
NSsid:	${task.pid}
VmPeak:	  853692 kB
VmSize:	  853692 kB
VmRSS:	  142276 kB
VmSwap:	${String(Math.round((task.swappedBytes ?? 0) / 1024)).padStart(8)} kB
HugetlbPages:	       0 kB
Threads:	${task.threads}
SigQ:	1/23711
CoreDumping:	0
Seccomp:	0
Cpus_allowed:	${cpuMask(allowed, task.cpus)}
Cpus_allowed_list:	${formatCpuList(allowed)}
Mems_allowed:	${cpuMask(nodeNumbers(task.nodes), 32)}
Mems_allowed_list:	${formatCpuList(nodeNumbers(task.nodes))}
voluntary_ctxt_switches:	${task.voluntary}
nonvoluntary_ctxt_switches:	${task.involuntary}
`;
}

function nodeNumbers(nodes: number): number[] {
  return Array.from({ length: nodes }, (_, node) => node);
}

/** `/proc/<pid>/sched`, kernel/sched/debug.c proc_sched_show_task(), which needs CONFIG_SCHED_DEBUG. */
function schedText(task: Task): string {
  const line = (name: string, value: string | number): string =>
    `${name.padEnd(45)}:${String(value).padStart(21)}\n`;
  const ms = (task.runNs / 1e6).toFixed(6);
  return [
    `${task.comm} (${task.tid}, #threads: ${task.threads})\n`,
    '-------------------------------------------------------------------\n',
    line('se.exec_start', ms),
    line('se.vruntime', ms),
    line('se.sum_exec_runtime', ms),
    line('se.nr_migrations', task.migrations),
    line('nr_switches', task.slices),
    line('nr_voluntary_switches', task.voluntary),
    line('nr_involuntary_switches', task.involuntary),
    line('se.load.weight', 1048576),
    line('policy', 0),
    line('prio', 120),
    line('clock-delta', 54),
    `current_node=${task.node}, numa_group_id=0\n`,
  ].join('');
}
