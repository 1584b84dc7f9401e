import type { SourceError } from '../../probes/errors.ts';
import type { Lockdown } from '../../probes/lockdown.ts';

/** Explains a failure to the operator. */
export interface Advice {
  readonly why: string;
  /** The command or change that fixes the problem; undefined if there is nothing to fix or no fix exists. */
  readonly fix: string | undefined;
}

/** The facts that distinguish the causes of an EPERM. */
export interface Circumstances {
  readonly isRoot: boolean;
  readonly lockdown: Lockdown;
}

/** The reason given for a QMP socket directory that is not used: exporter/qmp/sockets.ts. */
export const NOT_ROOTS_ALONE =
  "not used for QMP: must be a directory, not a link, that is root's and that nobody else may write to";

/** The reason given for a monitor that serves another client: probes/qmp-connection.ts. */
export const HELD = 'another client holds the monitor';

/** Explains a failure and gives the fix. */
export function adviceOn(problem: SourceError, probe: string, circumstances: Circumstances): Advice {
  const { kind, path, reason } = problem;
  const why = `${path}: ${reason}`;
  if (kind === 'exhausted') {
    return { why: `${why}: no file descriptor is free`, fix: fixOfExhaustion(reason) };
  }
  if (probe === 'qmp') return aboutMonitor(problem, why);
  if (probe === 'libvirt' && (path === 'virsh' || path.includes('://'))) return aboutLibvirt(problem, why);
  if (probe === 'trace') return aboutTrace(problem, why, circumstances);
  switch (kind) {
    case 'denied':
      return probe === 'kvm_debugfs' ? aboutDebugfs(why, circumstances) : aboutPrivileges(why, circumstances);
    case 'absent':
      return aboutAbsence(path, probe, reason);
    case 'malformed':
    case 'failed':
      return { why, fix: 'please report it with the content of the file' };
    default:
      return { why, fix: undefined };
  }
}

/** @param reason EMFILE (limit of this process) or ENFILE (limit of the host) */
export function fixOfExhaustion(reason: string): string {
  return reason === 'ENFILE'
    ? 'raise fs.file-max (sysctl), or find the process that holds so many (lsof)'
    : 'raise the limit (LimitNOFILE= of the unit, ulimit -n), or close idle connections to the exporter';
}

function aboutDebugfs(why: string, { isRoot, lockdown }: Circumstances): Advice {
  if (!isRoot) return { why: `${why}: debugfs is for root`, fix: 'run kvm-telemetry as root' };
  const mode = lockdown === 'unknown' ? 'its mode is not shown: securityfs is not mounted' : lockdown;
  return {
    why: `KVM debugfs counters are denied by kernel lockdown (${mode}), though root asks; instant values remain`,
    fix: 'ask QEMU: start VMs with -qmp unix:/run/kvm-telemetry/qmp/NAME.sock,server=on,wait=off, or let libvirt manage them; then --no-collector.kvm-debugfs',
  };
}

function aboutPrivileges(why: string, { isRoot }: Circumstances): Advice {
  return { why, fix: isRoot ? undefined : 'run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH' };
}

function aboutMonitor({ kind, path, reason }: SourceError, why: string): Advice {
  if (kind === 'denied' && reason === NOT_ROOTS_ALONE) {
    return {
      why,
      fix: `chown root:root ${path} && chmod go-w ${path}, and likewise the directories above it`,
    };
  }
  if (reason.includes(HELD)) {
    return {
      why,
      fix: 'none if that is kvm-telemetry serve, whose kvm_vm_source_up then is 1; else give the VM a second -qmp socket',
    };
  }
  return { why, fix: undefined };
}

function aboutLibvirt({ kind }: SourceError, why: string): Advice {
  if (kind === 'absent') return { why, fix: 'apt-get install libvirt-clients, or --no-collector.libvirt' };
  return { why, fix: 'systemctl status virtqemud libvirtd; --libvirt.uri where it is not qemu:///system' };
}

function aboutTrace(
  { kind, path, reason }: SourceError,
  why: string,
  { isRoot, lockdown }: Circumstances,
): Advice {
  if (kind === 'denied') {
    const denied = `${why}: tracing is ${isRoot ? `denied, kernel lockdown is ${lockdown}` : 'for root'}`;
    return {
      why: denied,
      fix: isRoot ? '--trace.backend=off says that you know' : 'run kvm-telemetry as root',
    };
  }
  if (path === 'perf') return { why, fix: 'apt-get install linux-perf, or --trace.backend=off' };
  if (reason.startsWith('EROFS')) {
    return { why, fix: 'mount tracefs read-write, or --trace.backend=perf, which only reads it' };
  }
  if (reason.includes('no such tracepoint') || reason.includes('no field')) {
    return { why, fix: 'modprobe kvm_intel or kvm_amd; else --trace.sets without the set that needs it' };
  }
  if (kind === 'absent') return { why, fix: 'mount -t tracefs none /sys/kernel/tracing' };
  return { why, fix: undefined };
}

function aboutAbsence(path: string, probe: string, reason: string): Advice {
  if (probe === 'kvm_debugfs') {
    return {
      why: `${path} is not there: debugfs is not mounted, or the kvm module is not loaded`,
      fix: 'mount -t debugfs none /sys/kernel/debug && modprobe kvm',
    };
  }
  if (probe === 'schedstat') {
    return {
      why: `${path} is not there: this kernel has no CONFIG_SCHEDSTATS`,
      fix: 'none but another kernel; --no-collector.schedstat says that you know',
    };
  }
  if (path.endsWith('/sched')) {
    return { why: `${path} is not there: this kernel has no CONFIG_SCHED_DEBUG`, fix: undefined };
  }
  return { why: `${path}: ${reason}`, fix: undefined };
}
