import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Circumstances } from '../../../exporter/model/advice.ts';
import { adviceOn } from '../../../exporter/model/source-advice.ts';
import { SourceError, type SourceErrorCode, type SourceErrorKind } from '../../../probes/errors.ts';

const ROOT: Circumstances = { isRoot: true, lockdown: 'none' };

function advice(
  collector: string,
  kind: SourceErrorKind,
  path: string,
  reason: string,
  circumstances = ROOT,
  code?: SourceErrorCode,
): string {
  const { why, fix } = adviceOn(new SourceError(kind, path, reason, code), collector, circumstances);
  return `${why} | ${fix ?? '-'}`;
}

test('denied counters are explained by lockdown for root, and by missing privileges for other users', () => {
  const locked: Circumstances = { isRoot: true, lockdown: 'integrity' };
  const said = advice('kvm_debugfs', 'denied', '/sys/kernel/debug/kvm', 'EPERM', locked);
  assert.match(said, /kernel lockdown \(integrity\) denies the KVM debugfs counters, even to root/);
  assert.match(said, /-qmp unix:\/run\/kvm-telemetry\/qmp\/NAME\.sock/);
  const hidden = advice('kvm_debugfs', 'denied', '/x', 'EPERM', { isRoot: true, lockdown: 'unknown' });
  assert.match(hidden, /securityfs is not mounted/);
  assert.match(
    advice('kvm_debugfs', 'denied', '/x', 'EACCES', { ...locked, isRoot: false }),
    /run kvm-telemetry as root/,
  );
  assert.match(
    advice('inventory', 'denied', '/proc/1/fd', 'EACCES', { ...ROOT, isRoot: false }),
    /CAP_SYS_PTRACE/,
  );
});

test('the advice on a missing source names what provides it', () => {
  assert.match(advice('kvm_debugfs', 'absent', '/sys/kernel/debug/kvm', 'ENOENT'), /mount -t debugfs/);
  assert.match(
    advice('schedstat', 'absent', '/proc/schedstat', 'ENOENT'),
    /CONFIG_SCHEDSTATS.*--no-collector\.schedstat/,
  );
  assert.match(advice('threads', 'absent', '/proc/<pid>/sched', 'ENOENT'), /CONFIG_SCHED_DEBUG/);
  assert.match(advice('libvirt', 'absent', 'virsh', 'not installed'), /libvirt-clients/);
});

test('the advice on a monitor depends on its failure', () => {
  const unsafe = advice('qmp', 'denied', '/run/q', 'not used', ROOT, 'unsafe_directory');
  assert.match(unsafe, /chown root:root \/run\/q && chmod go-w/);
  const held = advice('qmp', 'timeout', '/run/q/a.sock', 'no greeting', ROOT, 'monitor_held');
  assert.match(held, /second -qmp socket/);
  assert.match(advice('qmp', 'malformed', '/run/q/a.sock', 'unexpected content'), /\| -$/);
});

test('a libvirt that does not respond is named with its address', () => {
  assert.match(
    advice('libvirt', 'timeout', 'qemu:///system', 'no answer'),
    /qemu:\/\/\/system: no answer.*systemctl status/,
  );
});

test('malformed data of the kernel should be reported as a bug', () => {
  assert.match(advice('block', 'malformed', '/sys/block/sda/stat', 'unexpected content'), /please report/);
});

test('each kind of failure of each source has its own fix, and no other', () => {
  const fixes: readonly (readonly [string, SourceErrorKind, string, string, Circumstances, string])[] = [
    [
      'libvirt',
      'absent',
      'virsh',
      'not installed',
      ROOT,
      'apt-get install libvirt-clients, or set --no-collector.libvirt',
    ],
    [
      ...(['libvirt', 'failed', 'qemu:///system', 'refused', ROOT] as const),
      'check systemctl status virtqemud libvirtd; set --libvirt.uri if the URI is not qemu:///system',
    ],
    // A file of libvirt is a file as others are.
    [
      'libvirt',
      'malformed',
      '/run/libvirt/qemu/a.xml',
      'no domain',
      ROOT,
      'please report this with the content of the file',
    ],
    ['inventory', 'failed', '/proc/1/stat', 'EIO', ROOT, 'please report this with the content of the file'],
    [
      'inventory',
      'denied',
      '/proc/1/fd',
      'EACCES',
      ROOT,
      'grant CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (CapabilityBoundingSet= in the unit)',
    ],
    ['inventory', 'timeout', '/proc/1/cmdline', 'no answer', ROOT, '-'],
    ['threads', 'absent', '/proc/1/task/1/sched', 'ENOENT', ROOT, '-'],
    ['block', 'absent', '/sys/block/sda/stat', 'ENOENT', ROOT, '-'],
    ['qmp', 'denied', '/run/q.sock', 'EACCES', ROOT, '-'],
    ['trace', 'absent', '/sys/kernel/tracing', 'ENOENT', ROOT, 'mount -t tracefs none /sys/kernel/tracing'],
    [
      'trace',
      'absent',
      'perf',
      'not installed',
      ROOT,
      'apt-get install linux-perf, or set --trace.backend=off',
    ],
    ['trace', 'failed', '/x', 'EBUSY', ROOT, '-'],
    ['trace', 'denied', '/x', 'EPERM', ROOT, 'disable tracing with --trace.backend=off'],
    ['trace', 'denied', '/x', 'EPERM', { ...ROOT, isRoot: false }, 'run kvm-telemetry as root'],
  ];
  for (const [collector, kind, path, reason, circumstances, fix] of fixes)
    assert.equal(
      advice(collector, kind, path, reason, circumstances).split(' | ')[1],
      fix,
      `${collector} ${kind} ${path} ${reason}`,
    );
});

for (const [code, fix] of [
  ['EROFS', 'mount tracefs read-write, or set --trace.backend=perf, which only reads tracefs'],
  [
    'not_in_this_kernel',
    'modprobe kvm_intel or kvm_amd; otherwise remove the set that needs it from --trace.sets',
  ],
  [undefined, undefined],
] as const) {
  test(`the fix for a trace failure follows from its code ${code}, not from its text`, () => {
    const problem = new SourceError('failed', '/x', 'any text', code);
    assert.equal(adviceOn(problem, 'trace', ROOT).fix, fix);
  });
}

test('a failure is reported with its path and its reason', () => {
  for (const collector of ['inventory', 'libvirt', 'qmp', 'trace', 'kvm_debugfs'])
    assert.match(advice(collector, 'failed', '/a/file', 'EIO: it broke'), /^\/a\/file: EIO: it broke/);
});

test('the reason names what the kernel lacks, or who may read the file', () => {
  const why = (...parts: Parameters<typeof advice>): string | undefined => advice(...parts).split(' | ')[0];
  const user = { ...ROOT, isRoot: false };
  const locked: Circumstances = { isRoot: true, lockdown: 'confidentiality' };
  assert.equal(
    why('kvm_debugfs', 'absent', '/kvm', 'ENOENT'),
    '/kvm does not exist: debugfs is not mounted, or the kvm module is not loaded',
  );
  assert.equal(
    why('schedstat', 'absent', '/s', 'ENOENT'),
    '/s does not exist: this kernel lacks CONFIG_SCHEDSTATS',
  );
  assert.equal(
    why('threads', 'absent', '/1/sched', 'ENOENT'),
    '/1/sched does not exist: this kernel lacks CONFIG_SCHED_DEBUG',
  );
  assert.equal(why('threads', 'absent', '/1/schedstat', 'ENOENT'), '/1/schedstat: ENOENT');
  assert.equal(
    why('kvm_debugfs', 'denied', '/kvm', 'EACCES', user),
    '/kvm: EACCES: only root can read debugfs',
  );
  assert.equal(
    why('kvm_debugfs', 'denied', '/kvm', 'EPERM', locked),
    'kernel lockdown (confidentiality) denies the KVM debugfs counters, even to root; only instant values are readable',
  );
  assert.equal(why('trace', 'denied', '/t', 'EACCES', user), '/t: EACCES: only root can use tracing');
  assert.equal(
    why('trace', 'denied', '/t', 'EPERM', locked),
    '/t: EPERM: tracing is denied; kernel lockdown is confidentiality',
  );
});

test('advice on exhausted descriptors names the limit that was reached, whatever the collector', () => {
  for (const collector of ['qmp', 'libvirt', 'trace', 'block']) {
    assert.match(
      advice(collector, 'exhausted', '/x', 'EMFILE', ROOT, 'EMFILE'),
      /^\/x: EMFILE: no file descriptor is free \| raise the limit \(LimitNOFILE=/,
    );
    assert.match(advice(collector, 'exhausted', '/x', 'ENFILE', ROOT, 'ENFILE'), /\| raise fs\.file-max/);
  }
});
