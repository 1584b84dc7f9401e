import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { sample, series } from '../../testing/metrics.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../testing/tiny-vm.ts';
import { has, hasTool } from '../../testing/tools.ts';

/** deploy/systemd/kvm-telemetry.service */
const UNIT = ['sys_ptrace', 'dac_read_search', 'perfmon', 'bpf'];
const NOBODY = 65534;

type Findings = Readonly<Record<string, string>>;

function setOf(capabilities: readonly string[]): string {
  return ['-all', ...capabilities.map((name) => `+${name}`)].join();
}

/** Runs a program as root with these capabilities only. */
function only(capabilities: readonly string[]): string[] {
  return ['setpriv', `--bounding-set=${setOf(capabilities)}`, '--inh-caps=-all'];
}

/** Runs a program as another user with these capabilities: deploy/systemd/hardened.conf. */
function asUser(capabilities: readonly string[]): string[] {
  const set = setOf(capabilities);
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  return ['setpriv', ...user, `--bounding-set=${set}`, `--inh-caps=${set}`, `--ambient-caps=${set}`];
}

/** doctor's result with these capabilities, by source. */
function doctor(capabilities: readonly string[], start = only): Findings {
  const [program = '', ...wrapper] = start(capabilities);
  const { stdout } = spawnSync(
    program,
    [...wrapper, process.execPath, `${ROOT}dist/exporter/main.js`, 'doctor', '--json', '--trace.backend=off'],
    { encoding: 'utf8' },
  );
  const { sources } = JSON.parse(stdout) as {
    sources: { source: string; findings: { why: string; fix?: string }[] }[];
  };
  return Object.fromEntries(
    sources.map(({ source, findings }) => [
      source,
      findings.map(({ why, fix }) => `${why}: ${fix}`).join('\n'),
    ]),
  );
}

/** A VM of root and one of another user. @returns their processes */
async function vmsOfTwoUsers(context: TestContext): Promise<(number | undefined)[]> {
  const program = buildTinyVm(context, 'kt-capabilities');
  chmodSync(dirname(program), 0o755);
  const other = { uid: NOBODY, gid: statSync('/dev/kvm').gid };
  const vms = [
    await startTinyVm(context, program, 600_000),
    await startTinyVm(context, program, 600_000, other),
  ];
  return vms.map(({ pid }) => pid);
}

function canRun(context: TestContext): boolean {
  return (
    has(context, process.getuid?.() === 0, 'only root has capabilities to drop: sudo npm test') &&
    hasTool(context, 'setpriv', 'util-linux') &&
    canRunTinyVms(context)
  );
}

test("an unprivileged user with the unit's capabilities finds the same as root", async (context) => {
  if (!canRun(context)) return;
  await vmsOfTwoUsers(context);
  const [root, user] = [doctor(UNIT), doctor(UNIT, asUser)];
  // Other VMs come and go on this machine.
  for (const source of ['vms', 'threads', 'kvm_debugfs', 'block', 'cpus', 'interrupts'])
    assert.equal(user[source], root[source], source);
  assert.doesNotMatch(user['inventory'] ?? '', /grant/);
});

test('each missing capability of the unit is named with its fix', async (context) => {
  if (!canRun(context)) return;
  const vms = await vmsOfTwoUsers(context);
  const all = doctor(UNIT);
  const ours = new RegExp(`/proc/(${vms.join('|')})\\b`);
  assert.doesNotMatch(all['inventory'] ?? '', ours, 'with all of them the VMs of both users are readable');
  const bpfWorks = !/BPF iterator/.test(all['bpf'] ?? '');
  if (!has(context, bpfWorks, `BPF cannot be used here: ${all['bpf']}`)) return;
  for (const [missing, source, why, fix] of [
    ['sys_ptrace', 'inventory', /\/proc\/\d+\S*: EACCES/, /grant CAP_SYS_PTRACE/],
    ['dac_read_search', 'inventory', /\/proc\/\d+\S*: EACCES/, /CAP_DAC_READ_SEARCH/],
    ['perfmon', 'bpf', /BPF iterator kvm: EPERM/, /CAP_BPF and CAP_PERFMON/],
    ['bpf', 'bpf', /BPF iterator threads: EPERM/, /CAP_BPF and CAP_PERFMON/],
  ] as const) {
    const found = doctor(UNIT.filter((name) => name !== missing))[source] ?? '';
    assert.match(found, why, missing);
    assert.match(found, fix, missing);
  }
});

test('without BPF the daemon has the VMs of all users, and without any capability it continues', async (context) => {
  if (!canRun(context)) return;
  const vms = await vmsOfTwoUsers(context);
  const flags = ['--trace.backend=off'];
  const withoutBpf = await startDaemon(context, flags, {}, 'serve', only(['sys_ptrace', 'dac_read_search']));
  const samples = await withoutBpf.samples();
  for (const object of ['kvm', 'kvm-module', 'threads'])
    assert.equal(sample(samples, 'kvm_telemetry_bpf_object_loaded', { object }), 0);
  for (const pid of vms) assert.equal(series(samples, 'kvm_vm_info', { pid: String(pid) }).length, 1);
  const bare = await startDaemon(context, flags, {}, 'serve', only([]));
  const few = await bare.samples();
  assert.equal(sample(few, 'kvm_telemetry_collector_success', { collector: 'vms' }), 1);
  assert.equal(await bare.stop(), 0);
});
