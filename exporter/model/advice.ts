import type { SourceError } from '../../probes/errors.ts';
import type { Lockdown } from '../../probes/lockdown.ts';

/** A failure in words for the operator. */
export interface Advice {
  readonly why: string;
  /** The command or change that would mend it; undefined where nothing needs mending or nothing can. */
  readonly fix: string | undefined;
}

/** The facts about this daemon that tell one EPERM from another. */
export interface Circumstances {
  readonly isRoot: boolean;
  readonly lockdown: Lockdown;
}

/** What a failure means and what to do about it. */
export function adviceOn(problem: SourceError, probe: string, { isRoot, lockdown }: Circumstances): Advice {
  const { kind, path, reason } = problem;
  if (kind === 'denied' && probe === 'kvm_debugfs') {
    if (!isRoot) return { why: `${path}: ${reason}: debugfs is for root`, fix: 'run kvm-telemetry as root' };
    const mode = lockdown === 'unknown' ? 'its mode is not shown: securityfs is not mounted' : lockdown;
    return {
      why: `KVM debugfs counters are denied by kernel lockdown (${mode}), though root asks; instant values remain`,
      fix: 'none on a running kernel: boot without Secure Boot or lockdown=; threads, block devices and the rest do not need it',
    };
  }
  if (kind === 'denied') {
    return {
      why: `${path}: ${reason}`,
      fix: isRoot ? undefined : 'run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH',
    };
  }
  if (kind === 'absent') return absent(path, probe, reason);
  if (kind === 'timeout') return { why: `${path}: ${reason}`, fix: undefined };
  return { why: `${path}: ${reason}`, fix: 'please report it with the content of the file' };
}

function absent(path: string, probe: string, reason: string): Advice {
  if (probe === 'kvm_debugfs') {
    return {
      why: `${path} is not there: debugfs is not mounted, or the kvm module is not loaded`,
      fix: 'mount -t debugfs none /sys/kernel/debug && modprobe kvm',
    };
  }
  if (path.endsWith('/schedstat') && probe === 'schedstat') {
    return { why: `${path} is not there: this kernel has no CONFIG_SCHEDSTATS`, fix: undefined };
  }
  if (path.endsWith('/sched'))
    return { why: `${path} is not there: this kernel has no CONFIG_SCHED_DEBUG`, fix: undefined };
  return { why: `${path}: ${reason}`, fix: undefined };
}
