import { posix } from 'node:path';
import type { CpuStat } from '../../probes/cgroup-cpu-stat.ts';
import { SourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { printable } from '../../probes/printable.ts';
import { readCmdline } from '../../probes/proc-pid-cmdline.ts';
import { readExecutable } from '../../probes/proc-pid-exe.ts';
import { listPids } from '../../probes/proc-pids.ts';
import { quotaInWords, quotasOf, type ReportedQuota } from './quotas.ts';

const TIMEOUT_MS = 500;
const NODE: ReadonlySet<string> = new Set(['node', 'nodejs']);
const PROGRAM = /(?:^|\/)(?:kvm-telemetry|exporter\/main\.js)$/;
/** Below this share of its periods a scrape of 1,000 VMs was in time (docs/reliability.md). */
const HARMFUL = 0.1;

/** A CPU quota of the cgroup of a running daemon, or of one above it. */
export interface DaemonQuota extends ReportedQuota {
  readonly pid: number;
  /** Undefined if the quota does no harm so far. */
  readonly fix: string | undefined;
}

/** @param owner of the state directory. Any user can start a process that looks like a daemon: only root's and this user's count */
export async function quotasOfDaemons(host: Host, owner: number | undefined): Promise<DaemonQuota[]> {
  const found: DaemonQuota[] = [];
  for (const pid of listPids(host)) {
    if (!(await isDaemon(host, pid, owner))) continue;
    for (const quota of quotasOf(host, { pid }).quotas)
      found.push({ pid, ...quota, fix: isHarmful(quota.stat) ? fixFor(quota.cgroup) : undefined });
  }
  return found;
}

async function isDaemon(host: Host, pid: number, owner: number | undefined): Promise<boolean> {
  try {
    if (!NODE.has(posix.basename(readExecutable(host, pid) ?? ''))) return false;
    const { uid } = host.stat(`${host.roots.procfs}/${pid}`);
    if (uid !== 0 && uid !== owner) return false;
    const { argv } = await readCmdline(host, pid, TIMEOUT_MS);
    return argv.some((arg, i) => PROGRAM.test(arg) && argv[i + 1] === 'serve');
  } catch (error) {
    // Without the permission to read it, nothing is known of the process.
    if (error instanceof SourceError) return false;
    throw error;
  }
}

function isHarmful(stat: CpuStat | undefined): boolean {
  return stat !== undefined && stat.periods > 0 && stat.throttledPeriods / stat.periods > HARMFUL;
}

/** The cgroup's name shows who sets the quota. */
function fixFor(cgroup: string): string {
  const unit = posix.basename(cgroup);
  if (cgroup.includes('/kubepods')) return "remove the CPU limit (resources.limits.cpu) of the daemon's pod";
  if (/(?:^|[-/])(?:docker|libpod|crio|containerd)\b/.test(cgroup)) return "remove the container's CPU limit";
  if (/\.(?:service|slice)$/.test(unit)) return `systemctl set-property ${unit} CPUQuota=`;
  return `remove the quota of ${cgroup}`;
}

/**
 * One line for each quota.
 *
 * @example 'quota  daemon (pid 812) in /system.slice/kvm-telemetry.service: 20 ms each 100 ms (0.2 CPUs), used up in 48 of 53 periods, 2.5 s stopped: scrapes may be late or missed; fix: systemctl set-property kvm-telemetry.service CPUQuota='
 */
export function daemonQuotaLines(quotas: readonly DaemonQuota[]): string {
  const lines = quotas.map((quota) => {
    const harm = quota.fix === undefined ? '' : `: scrapes may be late or missed; fix: ${quota.fix}`;
    return printable(`quota  daemon (pid ${quota.pid}) in ${quota.cgroup}: ${quotaInWords(quota)}${harm}`);
  });
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}
