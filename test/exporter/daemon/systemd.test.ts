import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { notifyReady } from '../../../exporter/daemon/systemd.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { hasTool } from '../../../testing/tools.ts';

const UNIT = readFileSync(`${ROOT}deploy/systemd/kvm-telemetry.service`, 'utf8');

test('without a supervisor nothing is sent', async () => {
  assert.equal(await notifyReady({ PATH: '/nowhere' }), undefined);
});

test('a missing helper is reported and causes no crash', async () => {
  assert.match((await notifyReady({ PATH: '/nowhere', NOTIFY_SOCKET: '/nowhere/s' })) ?? '', /ENOENT/);
});

test('a supervisor that does not listen is reported', async (context) => {
  if (!hasTool(context, 'systemd-notify', 'systemd')) return;
  const problem = await notifyReady({ PATH: process.env['PATH'], NOTIFY_SOCKET: '/nowhere/socket' });
  assert.match(problem ?? '', /systemd-notify/);
});

test('systemd takes the unit file', (context) => {
  if (!hasTool(context, 'systemd-analyze', 'systemd')) return;
  const folder = mkdtempSync(join(tmpdir(), 'kt-unit-'));
  try {
    // It also looks whether the program is there, which it is only after the installation.
    symlinkSync('/bin/true', join(folder, 'kvm-telemetry'));
    const unit = UNIT.replace(/^ExecStart=\S+/m, `ExecStart=${folder}/kvm-telemetry`);
    assert.notEqual(unit, UNIT);
    writeFileSync(join(folder, 'kvm-telemetry.service'), unit);
    const { status, stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', '--man=no', '--recursive-errors=no', join(folder, 'kvm-telemetry.service')],
      { encoding: 'utf8' },
    );
    const complaints = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('kvm-telemetry'));
    assert.deepEqual([status, complaints], [0, []]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** The exposure that systemd 252 computes, from 0 to 10, of a unit's text. */
function exposure(text: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'kt-unit-'));
  try {
    const unit = join(folder, 'kvm-telemetry.service');
    writeFileSync(unit, text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
    const args = ['security', '--offline=true', '--no-pager', unit];
    const { stdout, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    const [, level] = /exposure level for kvm-telemetry\.service: ([\d.]+)/.exec(stdout) ?? [];
    assert.notEqual(level, undefined, stderr);
    return Number(level);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the units' exposure does not rise", (context) => {
  if (!hasTool(context, 'systemd-analyze', 'systemd')) return;
  assert.ok(exposure(UNIT) <= 3, 'docs/security.md');
  const hardened = readFileSync(`${ROOT}deploy/systemd/hardened.conf`, 'utf8');
  assert.ok(exposure(`${UNIT}\n${hardened}`) < 2, 'docs/security.md');
});

test('the unit file does not hide the files that the exporter reads', () => {
  const settings = new Map(
    UNIT.split('\n')
      .filter((line) => /^[A-Z]\w+=/.test(line))
      .map((line) => line.split(/=(.*)/s) as [string, string]),
  );
  assert.equal(settings.get('NotifyAccess'), 'all', 'systemd-notify is a child');
  assert.notEqual(settings.get('ProtectProc'), 'invisible');
  assert.notEqual(settings.get('ProcSubset'), 'pid', '/proc/schedstat, interrupts and stat');
  assert.notEqual(settings.get('PrivateDevices'), 'yes', 'the numbers of disks');
  assert.notEqual(settings.get('PrivateUsers'), 'yes', 'capabilities over the host');
  assert.notEqual(settings.get('MemoryDenyWriteExecute'), 'yes', "V8's compiler");
  for (const capability of ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH']) {
    assert.match(settings.get('CapabilityBoundingSet') ?? '', new RegExp(capability));
  }
});
