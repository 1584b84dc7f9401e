import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Circumstances } from '../../../exporter/model/advice.ts';
import { adviceOn } from '../../../exporter/model/source-advice.ts';
import { SourceError, type SourceErrorCode, type SourceErrorKind } from '../../../probes/errors.ts';

const ROOT: Circumstances = { isRoot: true, lockdown: 'integrity' };

test('each reason against BPF has its remedy', () => {
  const iterator = 'BPF iterator kvm';
  const confidential: Circumstances = { isRoot: true, lockdown: 'confidentiality' };
  const cases: [SourceErrorKind, string, string, Circumstances, RegExp][] = [
    ['absent', 'koffi', 'the optional package koffi is not installed', ROOT, /include=optional/],
    ['absent', 'libbpf.so.1', 'cannot open shared object file', ROOT, /apt-get install libbpf1/],
    ['absent', '/sys/kernel/btf/vmlinux', '', ROOT, /CONFIG_DEBUG_INFO_BTF/],
    ['denied', '/proc/self/ns/pid', 'another namespace', ROOT, /--pid=host/],
    ['denied', iterator, 'EPERM', confidential, /lockdown=integrity would allow/],
    ['denied', iterator, 'EPERM', ROOT, /CAP_BPF and CAP_PERFMON.*LimitMEMLOCK.*seccomp/],
    ['denied', iterator, 'EPERM', { ...ROOT, isRoot: false }, /as root, or with CAP_BPF/],
    ['failed', iterator, 'ENOMEM', ROOT, /MemoryMax/],
    ['failed', iterator, 'EINVAL', ROOT, /newer kernel/],
  ];
  for (const [kind, path, reason, circumstances, fix] of cases) {
    const advice = adviceOn(new SourceError(kind, path, reason, codeOf(reason)), 'bpf', circumstances);
    assert.match(advice.fix ?? '', fix, `${path} ${reason}`);
    assert.match(advice.fix ?? '', /--bpf=off/);
  }
  const cut = adviceOn(new SourceError('malformed', iterator, 'no row at byte 8 of 10'), 'bpf', ROOT);
  assert.deepEqual(cut, { why: 'BPF iterator kvm: no row at byte 8 of 10', fix: undefined });
});

test("without the types of KVM's module, the advice names the object in use, its missing fields and the fix", () => {
  const object = 'BPF object kvm-module';
  const cases: [SourceErrorKind, string, RegExp, RegExp][] = [
    ['denied', 'EPERM', /EPERM: the object kvm is used instead/, /^grant CAP_SYS_ADMIN/],
    ['failed', 'EINVAL', /EINVAL: the object kvm is used instead/, /types of a loaded module may be damaged/],
    ['absent', 'types unknown', /types unknown, so/, /CAP_SYS_ADMIN.*CONFIG_DEBUG_INFO_BTF_MODULES/],
  ];
  for (const [kind, reason, why, fix] of cases) {
    const advice = adviceOn(new SourceError(kind, object, reason, codeOf(reason)), 'bpf', ROOT);
    assert.match(advice.why, why);
    assert.match(advice.why, /kvm_vcpu_apicv_active.*kvm_vm_apicv_inhibited.*virtqueues/);
    assert.match(advice.fix ?? '', fix);
  }
});

test('each reason against BPF for trace events has its fix', () => {
  const object = 'BPF object trace-exits';
  const cases: [SourceErrorKind, string, string, RegExp][] = [
    ['failed', object, 'EINVAL', /load kvm_intel or kvm_amd.*BTF_MODULES.*--trace.backend=tracefs/],
    ['denied', object, 'EPERM', /for the types of modules also CAP_SYS_ADMIN/],
    ['absent', 'koffi', 'not installed', /include=optional/],
    ['absent', 'libbpf.so.1', 'cannot open', /libbpf1/],
    ['absent', 'trace set sched', 'BPF does not count this set', /--trace.backend=tracefs/],
    ['absent', 'BPF', 'BPF is off: --bpf=off', /--bpf=auto/],
  ];
  for (const [kind, path, reason, fix] of cases) {
    const advice = adviceOn(new SourceError(kind, path, reason, codeOf(reason)), 'trace', ROOT);
    assert.match(advice.fix ?? '', fix, `${path} ${reason}`);
    assert.match(advice.why, new RegExp(`^${path}: ${reason}`));
  }
  const missing = new SourceError('absent', `${object} exits`, 'no such tracepoint', 'not_in_this_kernel');
  assert.match(adviceOn(missing, 'trace', ROOT).fix ?? '', /modprobe/);
});

function codeOf(reason: string): SourceErrorCode | undefined {
  return /^E[A-Z]+$/.test(reason) ? (reason as SourceErrorCode) : undefined;
}
