import type { SourceError } from '../../probes/errors.ts';
import type { Advice, Circumstances } from './advice.ts';
import { aboutBpf, isAboutBpf } from './bpf-advice.ts';

/** Explains a failure and gives the fix. */
export function adviceOn(problem: SourceError, collector: string, circumstances: Circumstances): Advice {
  const { kind, path, reason } = problem;
  const why = `${path}: ${reason}`;
  if (kind === 'exhausted') {
    return { why: `${why}: no file descriptor is free`, fix: fixOfExhaustion(problem) };
  }
  if (collector === 'bpf') return aboutBpf(problem, circumstances);
  if (collector === 'qmp') return aboutMonitor(problem, why);
  if (collector === 'libvirt' && (path === 'virsh' || path.includes('://')))
    return aboutLibvirt(problem, why);
  if (collector === 'trace') return aboutTrace(problem, why, circumstances);
  switch (kind) {
    case 'denied':
      return collector === 'kvm_debugfs'
        ? aboutDebugfs(why, circumstances)
        : aboutPrivileges(why, circumstances);
    case 'absent':
      return aboutAbsence(path, collector, reason);
    case 'malformed':
    case 'failed':
      return { why, fix: 'please report this with the content of the file' };
    default:
      return { why, fix: undefined };
  }
}

/** EMFILE is the limit of this process, ENFILE that of the host. */
export function fixOfExhaustion({ code }: SourceError): string {
  return code === 'ENFILE'
    ? 'raise fs.file-max (sysctl), or find the process that holds most of them (lsof)'
    : 'raise the limit (LimitNOFILE= in the unit, or ulimit -n), or close idle connections to the exporter';
}

function aboutDebugfs(why: string, { isRoot, lockdown }: Circumstances): Advice {
  if (!isRoot) return { why: `${why}: only root can read debugfs`, fix: 'run kvm-telemetry as root' };
  const mode = lockdown === 'unknown' ? 'mode unknown: securityfs is not mounted' : lockdown;
  return {
    why: `kernel lockdown (${mode}) denies the KVM debugfs counters, even to root; only instant values are readable`,
    fix: 'start the VMs with -qmp unix:/run/kvm-telemetry/qmp/NAME.sock,server=on,wait=off, or let libvirt manage them; then set --no-collector.kvm-debugfs',
  };
}

function aboutPrivileges(why: string, { isRoot }: Circumstances): Advice {
  return {
    why,
    fix: isRoot
      ? 'grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (CapabilityBoundingSet= in the unit)'
      : 'run kvm-telemetry as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH',
  };
}

function aboutMonitor({ path, code }: SourceError, why: string): Advice {
  if (code === 'unsafe_directory') {
    return {
      why,
      fix: `chown root:root ${path} && chmod go-w ${path}, and the same for its parent directories`,
    };
  }
  if (code === 'monitor_held') {
    return {
      why,
      fix: 'nothing, if that client is kvm-telemetry serve (its kvm_vm_source_up is 1); otherwise give the VM a second -qmp socket',
    };
  }
  return { why, fix: undefined };
}

function aboutLibvirt({ kind }: SourceError, why: string): Advice {
  if (kind === 'absent')
    return { why, fix: 'apt-get install libvirt-clients, or set --no-collector.libvirt' };
  return {
    why,
    fix: 'check systemctl status virtqemud libvirtd; set --libvirt.uri if the URI is not qemu:///system',
  };
}

function aboutTrace(problem: SourceError, why: string, circumstances: Circumstances): Advice {
  if (isAboutBpf(problem)) return aboutBpf(problem, circumstances);
  const { kind, path, code } = problem;
  const { isRoot, lockdown } = circumstances;
  if (path.startsWith('trace set '))
    return { why, fix: 'set --trace.backend=tracefs, or remove the set from --trace.sets' };
  if (kind === 'denied') {
    const denied = `${why}: ${isRoot ? `tracing is denied; kernel lockdown is ${lockdown}` : 'only root can use tracing'}`;
    return {
      why: denied,
      fix: isRoot ? 'disable tracing with --trace.backend=off' : 'run kvm-telemetry as root',
    };
  }
  if (path === 'perf') return { why, fix: 'apt-get install linux-perf, or set --trace.backend=off' };
  if (code === 'EROFS') {
    return { why, fix: 'mount tracefs read-write, or set --trace.backend=perf, which only reads tracefs' };
  }
  if (code === 'not_in_this_kernel') {
    return {
      why,
      fix: 'modprobe kvm_intel or kvm_amd; otherwise remove the set that needs it from --trace.sets',
    };
  }
  if (kind === 'absent') return { why, fix: 'mount -t tracefs none /sys/kernel/tracing' };
  return { why, fix: undefined };
}

function aboutAbsence(path: string, collector: string, reason: string): Advice {
  if (collector === 'kvm_debugfs') {
    return {
      why: `${path} does not exist: debugfs is not mounted, or the kvm module is not loaded`,
      fix: 'mount -t debugfs none /sys/kernel/debug && modprobe kvm',
    };
  }
  if (collector === 'schedstat') {
    return {
      why: `${path} does not exist: this kernel lacks CONFIG_SCHEDSTATS`,
      fix: 'use a kernel with CONFIG_SCHEDSTATS, or disable the collector with --no-collector.schedstat',
    };
  }
  if (path.endsWith('/sched')) {
    return { why: `${path} does not exist: this kernel lacks CONFIG_SCHED_DEBUG`, fix: undefined };
  }
  return { why: `${path}: ${reason}`, fix: undefined };
}
