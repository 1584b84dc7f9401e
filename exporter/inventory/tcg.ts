import { USER_HZ } from '../../kernel/units.ts';
import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { listTids } from '../../probes/proc-pids.ts';
import { readTaskStat, type TaskStat } from '../../probes/proc-task-stat.ts';
import { readUptime } from '../../probes/proc-uptime.ts';
import type { Candidate } from './processes.ts';

/** QEMU opens /dev/kvm within a second of its start. */
const START_SECONDS = 10;
/** `CPU 0/TCG`, and `ALL CPUs/TCG` without multi-threading. */
const TCG_THREAD = /^(?:CPU \d+|ALL CPUs)\/TCG$/;

/**
 * Whether QEMU without a VM in KVM emulates the CPUs. With `accel=kvm:tcg` it opens /dev/kvm when it starts,
 * and falls back to TCG if it cannot.
 */
export function runsTcg(
  host: Host,
  process: Pick<Candidate, 'pid' | 'stat'>,
  requested: readonly string[],
  program: string,
): boolean {
  const accels = requested.length > 0 ? requested : program.endsWith('kvm') ? ['kvm', 'tcg'] : ['tcg'];
  if (accels[0] === 'tcg') return true;
  return accels.includes('tcg') && (hasTcgThread(host, process.pid) || isPastStart(host, process.stat));
}

/** Only with `debug-threads=on`. */
function hasTcgThread(host: Host, pid: number): boolean {
  const task = `${host.roots.procfs}/${pid}/task`;
  return listTids(host, pid).some((tid) =>
    TCG_THREAD.test(ifThere(() => readTaskStat(host, `${task}/${tid}`))?.comm ?? ''),
  );
}

function isPastStart(host: Host, { startTime }: TaskStat): boolean {
  return readUptime(host) - startTime / USER_HZ > START_SECONDS;
}
