import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceOn, type Circumstances, NOT_ROOTS_ALONE } from '../../../exporter/model/advice.ts';
import { SourceError, type SourceErrorKind } from '../../../probes/errors.ts';

const ROOT: Circumstances = { isRoot: true, lockdown: 'none' };

function advice(
  probe: string,
  kind: SourceErrorKind,
  path: string,
  reason: string,
  circumstances = ROOT,
): string {
  const { why, fix } = adviceOn(new SourceError(kind, path, reason), probe, circumstances);
  return `${why} | ${fix ?? '-'}`;
}

test('denied counters are laid to lockdown for root, and to missing privileges for anyone else', () => {
  const locked: Circumstances = { isRoot: true, lockdown: 'integrity' };
  const said = advice('kvm_debugfs', 'denied', '/sys/kernel/debug/kvm', 'EPERM', locked);
  assert.match(said, /denied by kernel lockdown \(integrity\), though root asks/);
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

test('what is not there is laid to what would bring it', () => {
  assert.match(advice('kvm_debugfs', 'absent', '/sys/kernel/debug/kvm', 'ENOENT'), /mount -t debugfs/);
  assert.match(
    advice('schedstat', 'absent', '/proc/schedstat', 'ENOENT'),
    /CONFIG_SCHEDSTATS.*--no-collector\.schedstat/,
  );
  assert.match(advice('threads', 'absent', '/proc/<pid>/sched', 'ENOENT'), /CONFIG_SCHED_DEBUG/);
  assert.match(advice('libvirt', 'absent', 'virsh', 'not installed'), /libvirt-clients/);
});

test('a monitor is advised on by what is wrong with it', () => {
  assert.match(advice('qmp', 'denied', '/run/q', NOT_ROOTS_ALONE), /chown root:root \/run\/q && chmod go-w/);
  assert.match(
    advice('qmp', 'timeout', '/run/q/a.sock', 'no greeting: another client holds the monitor'),
    /second -qmp socket/,
  );
  assert.match(advice('qmp', 'malformed', '/run/q/a.sock', 'unexpected content'), /\| -$/);
});

test('libvirt that gives no answer is named with its address', () => {
  assert.match(
    advice('libvirt', 'timeout', 'qemu:///system', 'no answer'),
    /qemu:\/\/\/system: no answer.*systemctl status/,
  );
});

test('nonsense of the kernel is to be reported', () => {
  assert.match(advice('block', 'malformed', '/sys/block/sda/stat', 'unexpected content'), /please report/);
});
