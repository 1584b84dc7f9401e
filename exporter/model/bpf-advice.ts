import type { SourceError } from '../../probes/errors.ts';
import type { Advice, Circumstances } from './advice.ts';

const OFF = 'or set --bpf=off';

/** Explains why BPF is not used, and what to do about it. Paths: probes/bpf/. */
export function aboutBpf(
  { kind, code, path, reason }: SourceError,
  { isRoot, lockdown }: Circumstances,
): Advice {
  const why = `${path}: ${reason}`;
  if (path === 'koffi') return { why, fix: `npm install --include=optional, ${OFF}` };
  if (path === 'libbpf.so.1')
    return { why, fix: `apt-get install libbpf1 or dnf install libbpf (1.0 or later), ${OFF}` };
  if (path.endsWith('/btf/vmlinux')) {
    return {
      why: `${path} does not exist: this kernel has no BTF`,
      fix: `use a kernel with CONFIG_DEBUG_INFO_BTF, ${OFF}`,
    };
  }
  if (path.endsWith('/ns/pid')) {
    return { why, fix: `share the host's pid namespace (docker run --pid=host, hostPID: true), ${OFF}` };
  }
  if (kind === 'denied') return aboutDenial(why, isRoot, lockdown);
  if (code === 'ENOMEM') return { why, fix: `raise the memory limit (MemoryMax= in the unit), ${OFF}` };
  if (kind === 'failed' || kind === 'vanished' || kind === 'absent') {
    return {
      why: `${why}: this kernel lacks BPF iterators (Linux 5.8) or does not describe KVM's types (5.11)`,
      fix: `use a newer kernel, ${OFF}`,
    };
  }
  return { why, fix: undefined };
}

function aboutDenial(why: string, isRoot: boolean, lockdown: Circumstances['lockdown']): Advice {
  if (lockdown === 'confidentiality') {
    return {
      why: `${why}: kernel lockdown (confidentiality) denies BPF access to kernel memory`,
      fix: 'set --bpf=off; lockdown=integrity would allow BPF',
    };
  }
  const grant = `CAP_BPF and CAP_PERFMON (before Linux 5.11 also LimitMEMLOCK=infinity)`;
  if (!isRoot) return { why, fix: `run kvm-telemetry as root, or with ${grant}, ${OFF}` };
  return { why, fix: `grant ${grant}, and allow bpf() in the seccomp filter, ${OFF}` };
}
