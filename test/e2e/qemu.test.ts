import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chownSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { sample, series } from '../../testing/metrics.ts';
import { until } from '../../testing/patience.ts';
import { type Guest, type GuestOptions, hasKvm, runGuest, threadId } from '../../testing/qemu.ts';
import { has, hasTool, which } from '../../testing/tools.ts';

const ACCEL = hasKvm() ? 'kvm' : 'tcg';
const NOBODY = 65534;

function guest(context: TestContext, options: GuestOptions): Guest {
  return runGuest(context, { accel: ACCEL, ...options });
}

function canRun(context: TestContext): boolean {
  return hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86');
}

test('a real VM has its name, thread roles and growing times, and is gone at the next scrape', async (context) => {
  if (!canRun(context)) return;
  const daemon = await startDaemon(context);
  const vm = guest(context, { name: 'kt-real' });

  const first = await daemon.samples();
  assert.equal(
    sample(first, 'kvm_vm_info', { vm: 'kt-real', vmm: 'qemu', accel: ACCEL, pid: String(vm.pid) }),
    1,
  );
  assert.equal(sample(first, 'kvm_vm_vcpus', { vm: 'kt-real' }), 2);
  for (const thread of ['vcpu0', 'vcpu1', 'iothread:io0', 'emulator']) {
    assert.equal(series(first, 'kvm_thread_run_seconds_total', { vm: 'kt-real', thread }).length, 1, thread);
  }

  // Two samples at least: the first one begins, the second one credits.
  await sleep(2600);
  const second = await daemon.samples();
  const running = { vm: 'kt-real', thread: 'vcpu0' };
  const grown = (name: string, labels: Record<string, string> = running): number =>
    sample(second, name, labels) - sample(first, name, labels);
  assert.ok(grown('kvm_thread_run_seconds_total') > 0.3, 'a guest in a loop runs');
  assert.ok(grown('kvm_thread_timeslices_total') > 0);
  const residency = series(second, 'kvm_thread_cpu_residency_seconds_total', running);
  const resided = residency.reduce((sum, key) => sum + (second.get(key) ?? 0), 0);
  assert.ok(resided > 0.5 && resided < 10, `${resided} s of residency`);
  const started = sample(second, 'kvm_vm_start_time_seconds', { vm: 'kt-real' });
  assert.ok(Math.abs(started - Date.now() / 1000) < 60, 'start time is in seconds of the epoch');

  vm.stop();
  const gone = await daemon.metrics();
  assert.ok(!gone.includes('kt-real'), 'no series of a VM that has ended');
});

/** bytes, packets and dropped packets of both directions, as the guest of the tap sees them. */
function tapCounters(tap: string): Record<string, number> {
  interface Side {
    readonly bytes: number;
    readonly packets: number;
    readonly dropped: number;
  }
  const text = execFileSync('ip', ['-s', '-j', 'link', 'show', tap], { encoding: 'utf8' });
  const [link] = JSON.parse(text) as [{ stats64: { rx: Side; tx: Side } }];
  const named = (direction: string, { bytes, packets, dropped }: Side): [string, number][] => [
    [`${direction} bytes`, bytes],
    [`${direction} packets`, packets],
    [`${direction} dropped`, dropped],
  ];
  const { rx, tx } = link.stats64;
  return Object.fromEntries([...named('transmit', rx), ...named('receive', tx)]);
}

test("traffic of a VM's taps is that of `ip -s link`", async (context) => {
  if (!canRun(context) || !hasTool(context, 'ip', 'iproute2')) return;
  const isRoot = has(context, process.geteuid?.() === 0, 'only root can make a tap');
  if (!isRoot || !has(context, existsSync('/dev/net/tun'), 'no /dev/net/tun: modprobe tun')) return;
  // A hub of QEMU sends what it gets from one tap to the other one.
  const taps = ['kttap0', 'kttap1'];
  const extra = taps.flatMap((tap, i) => [
    ...['-netdev', `tap,id=n${i},ifname=${tap},script=no,downscript=no`],
    ...['-netdev', `hubport,id=h${i},hubid=0,netdev=n${i}`],
  ]);
  guest(context, { name: 'kt-tap', vcpus: 1, extra });
  execFileSync('ip', ['address', 'add', '198.18.254.1/24', 'dev', taps[0] ?? '']);
  for (const tap of taps) execFileSync('ip', ['link', 'set', tap, 'up']);
  const daemon = await startDaemon(context, ['--collector.network']);
  const socket = createSocket('udp4').bind(0, '198.18.254.1', () => socket.setBroadcast(true));
  context.after(() => socket.close());
  await once(socket, 'listening');
  const counters = (): Record<string, number>[] => taps.map(tapCounters);
  const sum = (each: Record<string, number>[], name: string): number =>
    each.reduce((total, counter) => total + (counter[name] ?? 0), 0);
  const atFirst = counters();
  await until(() => {
    for (let i = 0; i < 10; i++) socket.send(Buffer.alloc(100), 9, '198.18.254.255');
    return sum(counters(), 'transmit packets') >= sum(atFirst, 'transmit packets') + 100;
  });

  const before = counters();
  const samples = await daemon.samples();
  const after = counters();
  for (const name of Object.keys(before[0] ?? {})) {
    const [direction = '', what = ''] = name.split(' ');
    const seen = sample(samples, `kvm_vm_network_${what}_total`, { vm: 'kt-tap', direction });
    const [least, most] = [sum(before, name), sum(after, name)];
    assert.ok(least <= seen && seen <= most, `${name}: ${least} ${seen} ${most}`);
  }
});

test("a thread's counters lie between the kernel's values before and after", async (context) => {
  if (!canRun(context)) return;
  const vm = guest(context, { name: 'kt-between' });
  const daemon = await startDaemon(context);
  const tid = threadId(vm.pid, `CPU 0/${ACCEL.toUpperCase()}`);
  const kernel = (): number =>
    Number(readFileSync(`/proc/${vm.pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
  const before = kernel();
  const seen = sample(await daemon.samples(), 'kvm_thread_run_seconds_total', {
    vm: 'kt-between',
    thread: 'vcpu0',
  });
  const after = kernel();
  assert.ok(before <= seen && seen <= after, `${before} <= ${seen} <= ${after}`);
});

test("taskset changes the thread's mask and CPU", async (context) => {
  if (!canRun(context)) return;
  if (!hasTool(context, 'taskset', 'util-linux')) return;
  const vm = guest(context, { name: 'kt-pin' });
  const daemon = await startDaemon(context);
  const tid = threadId(vm.pid, `CPU 0/${ACCEL.toUpperCase()}`);
  const thread = { vm: 'kt-pin', thread: 'vcpu0' };
  for (const cpu of ['1', '0']) {
    execFileSync('taskset', ['-pc', cpu, tid], { stdio: 'ignore' });
    await sleep(1200);
    const samples = await daemon.samples();
    assert.equal(sample(samples, 'kvm_thread_allowed_cpus', thread), 1);
    assert.equal(sample(samples, 'kvm_thread_cpu', thread), Number(cpu));
  }
  const samples = await daemon.samples();
  assert.ok(sample(samples, 'kvm_thread_observed_migrations_total', thread) >= 1);
  assert.ok(sample(samples, 'kvm_thread_migrations_total', thread) >= 1);
  assert.equal(series(samples, 'kvm_thread_cpu_residency_seconds_total', thread).length, 2);
});

test('without debug-threads KVM identifies the vCPUs, and other roles are unknown', async (context) => {
  if (!canRun(context)) return;
  if (!has(context, ACCEL === 'kvm', '/dev/kvm is missing: load kvm_intel or kvm_amd')) return;
  const vm = guest(context, { name: 'kt-plain', debugThreads: false });
  const debugfs = `/sys/kernel/debug/kvm`;
  if (has(context, existsSync(debugfs), `${debugfs} is missing: mount -t debugfs none /sys/kernel/debug`)) {
    const samples = await (await startDaemon(context)).samples();
    assert.equal(sample(samples, 'kvm_vm_vcpus', { vm: 'kt-plain' }), 2);
    assert.equal(sample(samples, 'kvm_vm_info', { vm: 'kt-plain', pid: String(vm.pid) }), 1);
  }
  const byBpf = await (await startDaemon(context, ['--path.debugfs=/nonexistent'])).samples();
  if (series(byBpf, 'kvm_vm_source_info', { vm: 'kt-plain', source: 'bpf' }).length > 0)
    assert.equal(sample(byBpf, 'kvm_vm_vcpus', { vm: 'kt-plain' }), 2);
  const blind = await (await startDaemon(context, ['--path.debugfs=/nonexistent', '--bpf=off'])).samples();
  assert.equal(sample(blind, 'kvm_vm_vcpus', { vm: 'kt-plain' }), 0);
  assert.ok(sample(blind, 'kvm_vm_threads', { vm: 'kt-plain', role: 'unknown' }) >= 3);
  assert.ok(sample(blind, 'kvm_thread_run_seconds_total', { vm: 'kt-plain', role: 'unknown' }) > 0);
});

test('QEMU under TCG is a VM and is labelled TCG', async (context) => {
  if (!canRun(context)) return;
  guest(context, { name: 'kt-tcg', accel: 'tcg' });
  const samples = await (await startDaemon(context)).samples();
  assert.equal(sample(samples, 'kvm_vm_info', { vm: 'kt-tcg', accel: 'tcg' }), 1);
  assert.equal(sample(samples, 'kvm_vm_vcpus', { vm: 'kt-tcg' }), 2);
});

test("a user's program with QEMU's name is not a VM", async (context) => {
  const folder = temporaryFolder(context);
  if (!has(context, process.geteuid?.() === 0, 'only root can give a file away')) return;
  const program = join(folder, 'qemu-system-x86_64');
  copyFileSync(which('sleep') ?? '/bin/sleep', program);
  chownSync(program, NOBODY, NOBODY);
  const { spawn } = await import('node:child_process');
  const pretender = spawn(program, ['60'], { argv0: 'qemu-system-x86_64' });
  context.after(() => pretender.kill());
  const text = await (await startDaemon(context)).metrics();
  assert.ok(!text.includes(`pid="${pretender.pid}"`));
});

test('two real VMs with the same name have separate series', async (context) => {
  if (!canRun(context)) return;
  const one = guest(context, { name: 'kt-twin' });
  const two = guest(context, { name: 'kt-twin' });
  const samples = await (await startDaemon(context)).samples();
  assert.equal(sample(samples, 'kvm_vm_info', { vm: 'kt-twin', pid: String(one.pid) }), 1);
  assert.equal(sample(samples, 'kvm_vm_info', { vm: `kt-twin~${two.pid}`, name: 'kt-twin' }), 1);
});

test('a name with quotes, braces and a newline stays one label', async (context) => {
  if (!canRun(context)) return;
  guest(context, { name: 'kt "x"\n} 1' });
  const samples = await (await startDaemon(context)).samples();
  assert.equal(sample(samples, 'kvm_vm_info', { vm: 'kt \\"x\\"?} 1' }), 1);
});

test('the disks of a VM are found through a loop device', async (context) => {
  if (!canRun(context)) return;
  if (!hasTool(context, 'losetup', 'util-linux')) return;
  const folder = mkdtempSync(join(tmpdir(), 'kvm-telemetry-loop-'));
  execFileSync('truncate', ['-s', '1M', join(folder, 'image')]);
  let loop: string;
  try {
    loop = execFileSync('losetup', ['-f', '--show', join(folder, 'image')], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch (error) {
    has(context, false, `losetup does not work here: ${String(error).split('\n')[0]}`);
    return;
  }
  context.after(() => {
    execFileSync('losetup', ['-d', loop]);
    rmSync(folder, { recursive: true });
  });
  const blockdev = `driver=host_device,filename=${loop},node-name=l0`;
  guest(context, { name: 'kt-loop', extra: ['-blockdev', blockdev, '-device', 'virtio-blk-pci,drive=l0'] });
  const samples = await (await startDaemon(context)).samples();
  const device = loop.replace('/dev/', '');
  assert.equal(sample(samples, 'kvm_vm_block_device_info', { vm: 'kt-loop', device, depth: '0' }), 1);
  const under = execFileSync('findmnt', ['-no', 'SOURCE', '-T', folder], { encoding: 'utf8' }).trim();
  if (!under.startsWith('/dev/')) return;
  // The guest's image files lie on the same file system as the file behind the loop device.
  const disk = execFileSync('lsblk', ['-no', 'NAME', '-s', '-l', under], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1);
  assert.equal(series(samples, 'kvm_vm_block_device_info', { vm: 'kt-loop', device: disk ?? '' }).length, 1);
});

test('under lockdown, without BPF, doctor and collector_success report the denial, and the rest works', async (context) => {
  if (!canRun(context)) return;
  const file = '/sys/kernel/security/lockdown';
  if (!has(context, existsSync(file), `${file} is missing: mount -t securityfs none /sys/kernel/security`))
    return;
  const mode = /\[(\w+)\]/.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
  const denied = mode === 'integrity' || mode === 'confidentiality';
  if (!has(context, ACCEL === 'kvm', '/dev/kvm is missing: load kvm_intel or kvm_amd')) return;
  guest(context, { name: 'kt-lock' });
  const daemon = await startDaemon(context, ['--bpf=off']);
  const samples = await daemon.samples();
  assert.equal(sample(samples, 'kvm_lockdown_info', { mode }), 1);
  assert.equal(
    sample(samples, 'kvm_telemetry_collector_success', { collector: 'kvm_debugfs' }),
    denied ? 0 : 1,
  );
  assert.equal(series(samples, 'kvm_vm_exits_total', { vm: 'kt-lock' }).length, denied ? 0 : 1);
  assert.equal(
    sample(samples, 'kvm_vm_blocking', { vm: 'kt-lock' }) >= 0,
    true,
    'instant values are not denied',
  );
  for (const collector of ['inventory', 'vms', 'threads', 'block', 'cpus', 'interrupts']) {
    assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector }), 1, collector);
  }
  await daemon.samples();
  const complaints = daemon.log.filter((entry) => entry['collector'] === 'kvm_debugfs');
  assert.equal(complaints.length, denied ? 1 : 0, 'one log line, not one a scrape');
  let report = '';
  try {
    const main = `${ROOT}dist/exporter/main.js`;
    report = execFileSync(process.execPath, [main, 'doctor', '--bpf=off'], { encoding: 'utf8' });
  } catch (error) {
    report = String((error as { stdout?: unknown }).stdout);
  }
  if (denied) {
    assert.match(report, /FAIL {2}kvm_debugfs/);
    assert.match(report, new RegExp(`kernel lockdown \\(${mode}\\) denies the KVM debugfs counters`));
  }
});

test('under lockdown BPF has what debugfs denies, so nothing fails', async (context) => {
  if (!canRun(context)) return;
  if (!has(context, ACCEL === 'kvm', '/dev/kvm is missing: load kvm_intel or kvm_amd')) return;
  guest(context, { name: 'kt-lock-bpf' });
  const samples = await (await startDaemon(context)).samples();
  const up = series(samples, 'kvm_vm_source_up', { vm: 'kt-lock-bpf', source: 'bpf' });
  if (!has(context, up.length === 1, 'BPF cannot be used here: kvm-telemetry doctor')) return;
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'kvm_debugfs' }), 1);
  assert.equal(series(samples, 'kvm_vm_exits_total', { vm: 'kt-lock-bpf' }).length, 1);
});
