import { formatCpuList } from '../../../kernel/cpu-list.ts';
import { NSEC_PER_TICK } from '../../../kernel/units.ts';
import type { SimThread } from '../thread.ts';
import { cpuMask } from '../topology.ts';

/** Values of a thread's files that come from its process or host. */
export interface TaskOf {
  readonly pid: number;
  readonly threads: number;
  readonly cpus: number;
  readonly nodes: number;
  readonly node: (cpu: number) => number;
}

/** PF_FORKNOEXEC, PF_SIGNALED and the like of the captured QEMU: no PF_KTHREAD. */
const FLAGS = 138412224;

export function ticks(ns: number): number {
  return Math.floor(ns / NSEC_PER_TICK);
}

/**
 * `/proc/<pid>/task/<tid>/stat`, fs/proc/array.c do_task_stat(). @param all threads whose times are summed:
 * this thread, or all threads of the process
 */
export function statText(thread: SimThread, task: TaskOf, all: readonly SimThread[] = [thread]): string {
  const sum = (of: (each: SimThread) => number): number => all.reduce((total, each) => total + of(each), 0);
  const user = ticks(sum(({ user }) => user.value));
  const system = ticks(sum(({ system }) => system.value));
  const guest = sum(({ guestTicks }) => guestTicks);
  const state = thread.isRunning ? 'R' : 'S';
  const { pid } = task;
  return (
    `${thread.tid} (${thread.spec.comm}) ${state} 1 ${pid} ${pid} 0 -1 ${FLAGS} 11718 0 397 0 ${user} ${system} 0 0 20 0 ` +
    `${task.threads} 0 ${thread.startTicks} 874180608 35569 18446744073709551615 94826581405696 94826587266133 ` +
    `140730019915248 0 0 0 268444224 3674112 16963 0 0 0 17 ${thread.cpu} 0 0 0 ${guest} 0 94826590378232 94826595582384 ` +
    '94826616807424 140730019920952 140730019921723 140730019921723 140730019921884 0\n'
  );
}

/** `/proc/<pid>/schedstat`, kernel/sched/stats.h: run time, wait time, time slices. */
export function schedstatText(thread: SimThread): string {
  return `${thread.runNs} ${thread.wait.value} ${thread.switches}\n`;
}

/** `/proc/<pid>/status`, fs/proc/array.c proc_pid_status(). */
export function statusText(thread: SimThread, task: TaskOf): string {
  const { allowed } = thread;
  const state = thread.isRunning ? 'R (running)' : 'S (sleeping)';
  return `\
Name:	${thread.spec.comm}
Umask:	0027
State:	${state}
Tgid:	${task.pid}
Ngid:	0
Pid:	${thread.tid}
PPid:	1
TracerPid:	0
Uid:	0	0	0	0
Gid:	0	0	0	0
FDSize:	64
Groups:	 
NStgid:	${task.pid}
NSpid:	${thread.tid}
NSpgid:	${task.pid}
NSsid:	${task.pid}
VmPeak:	  853692 kB
VmSize:	  853692 kB
VmRSS:	  142276 kB
Threads:	${task.threads}
SigQ:	1/23711
CoreDumping:	0
Seccomp:	0
Cpus_allowed:	${cpuMask(allowed, task.cpus)}
Cpus_allowed_list:	${formatCpuList(allowed)}
Mems_allowed:	${cpuMask(nodeNumbers(task.nodes), 32)}
Mems_allowed_list:	${formatCpuList(nodeNumbers(task.nodes))}
voluntary_ctxt_switches:	${thread.voluntary.value}
nonvoluntary_ctxt_switches:	${thread.involuntary.value}
`;
}

function nodeNumbers(nodes: number): number[] {
  return Array.from({ length: nodes }, (_, node) => node);
}

/** `/proc/<pid>/sched`, kernel/sched/debug.c proc_sched_show_task(), which needs CONFIG_SCHED_DEBUG. */
export function schedText(thread: SimThread, task: TaskOf): string {
  const line = (name: string, value: string | number): string =>
    `${name.padEnd(45)}:${String(value).padStart(21)}\n`;
  const ms = (thread.runNs / 1e6).toFixed(6);
  return [
    `${thread.spec.comm} (${thread.tid}, #threads: ${task.threads})\n`,
    '-------------------------------------------------------------------\n',
    line('se.exec_start', ms),
    line('se.vruntime', ms),
    line('se.sum_exec_runtime', ms),
    line('se.nr_migrations', thread.migrations.value),
    line('nr_switches', thread.switches),
    line('nr_voluntary_switches', thread.voluntary.value),
    line('nr_involuntary_switches', thread.involuntary.value),
    line('se.load.weight', 1048576),
    line('policy', 0),
    line('prio', 120),
    line('clock-delta', 54),
    `current_node=${task.node(thread.cpu)}, numa_group_id=0\n`,
  ].join('');
}
