import type { SourceError, SourceErrorKind } from '../../probes/errors.ts';
import type { Advice, Circumstances } from './advice.ts';

const OFF = 'or set --bpf=off';

const OBJECT = 'BPF object trace-';
const MODULE_OBJECT = 'BPF object kvm-module';

/** Whether an error of the trace events is one of BPF. */
export function isAboutBpf({ path, code }: SourceError): boolean {
  if (code === 'not_in_this_kernel') return false;
  return path.startsWith('BPF') || path === 'koffi' || /^libbpf|\/btf\/vmlinux$|\/ns\/pid$/.test(path);
}

/** Explains why BPF is not used, with the fix. Paths: probes/bpf/. */
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
  if (path === MODULE_OBJECT) return aboutModuleTypes(kind, why);
  if (path === 'BPF') return { why, fix: 'set --trace.backend=auto, or --bpf=auto' };
  if (kind === 'denied') return aboutDenial(why, isRoot, lockdown, path.startsWith(OBJECT));
  if (code === 'ENOMEM') return { why, fix: `raise the memory limit (MemoryMax= in the unit), ${OFF}` };
  if (path.startsWith(OBJECT)) {
    return {
      why: `${why}: this kernel does not describe the types of kvm_intel or kvm_amd, or of a tracepoint's arguments`,
      fix: 'load kvm_intel or kvm_amd, use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES (Linux 5.11), or set --trace.backend=tracefs',
    };
  }
  if (kind === 'failed' || kind === 'vanished' || kind === 'absent') {
    return {
      why: `${why}: this kernel lacks BPF iterators (Linux 5.8) or does not describe KVM's types (5.11)`,
      fix: `use a newer kernel, ${OFF}`,
    };
  }
  return { why, fix: undefined };
}

function aboutDenial(
  why: string,
  isRoot: boolean,
  lockdown: Circumstances['lockdown'],
  needsModules: boolean,
): Advice {
  if (lockdown === 'confidentiality') {
    return {
      why: `${why}: kernel lockdown (confidentiality) denies BPF access to kernel memory`,
      fix: 'set --bpf=off; lockdown=integrity would allow BPF',
    };
  }
  const modules = needsModules ? ', for the types of modules also CAP_SYS_ADMIN' : '';
  const grant = `CAP_BPF and CAP_PERFMON${modules} (before Linux 5.11 also LimitMEMLOCK=infinity)`;
  if (!isRoot) return { why, fix: `run kvm-telemetry as root, or with ${grant}, ${OFF}` };
  return { why, fix: `grant ${grant}, and allow bpf() in the seccomp filter, ${OFF}` };
}

/** KVM's statistics are there, without the fields whose types are in the BTF of the module kvm. */
function aboutModuleTypes(kind: SourceErrorKind, why: string): Advice {
  const lacks =
    'kvm_vcpu_apicv_active is missing (Linux 6.0 and later), kvm_vm_apicv_inhibited has the reason other, and virtqueues that were never notified are not known';
  if (kind === 'absent') {
    return {
      why: `${why}, so ${lacks}`,
      fix: 'grant CAP_SYS_ADMIN, or use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES (Linux 5.11)',
    };
  }
  const fix =
    kind === 'denied'
      ? 'grant CAP_SYS_ADMIN, which the kernel requires for the types of modules'
      : 'update the kernel and its modules: the types of a loaded module may be damaged';
  return { why: `${why}: the object kvm is used instead, so ${lacks}`, fix };
}
