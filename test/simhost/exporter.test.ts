import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CALIBRATION, CONFIGURATIONS } from '../../lab/simhost/calibration.ts';
import { inflightOf } from '../../lab/simhost/files/host-proc.ts';
import { demo, paper } from '../../lab/simhost/scenarios.ts';
import { startDaemon } from '../../testing/daemon.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { assertNoneFalls } from '../../testing/never-falls.ts';
import { once, served, simulatedRoot, steps } from '../../testing/simulated.ts';

function total(samples: Samples, name: string, labels: Record<string, string> = {}): number {
  return series(samples, name, labels).reduce((sum, key) => sum + (samples.get(key) ?? 0), 0);
}

function near(actual: number, expected: number, tolerance: number, what: string): void {
  const message = `${what}: ${actual} is not within ${tolerance * 100}% of ${expected}`;
  assert.ok(Math.abs(actual - expected) <= expected * tolerance, message);
}

describe('the exporter on a simulated host', () => {
  it('shows each VM exactly as the model has it', async (context) => {
    const { host } = demo({ seed: 11 });
    steps(host, 30);
    const samples = await once(await served(context, host));
    for (const vm of host.vms) {
      const of = { vm: vm.name };
      assert.equal(sample(samples, 'kvm_vm_exits_total', of), vm.totals.exits);
      const halts = vm.vcpus.reduce((sum, vcpu) => sum + vcpu.stats.value('halt_exits'), 0);
      assert.equal(sample(samples, 'kvm_vm_halt_exits_total', of), halts);
      for (const { index, stats } of vm.vcpus) {
        const vcpu = { ...of, vcpu: String(index) };
        assert.equal(sample(samples, 'kvm_vcpu_exits_total', vcpu), stats.value('exits'));
      }
      for (const disk of vm.disks) {
        const labels = { ...of, disk: disk.id };
        assert.equal(sample(samples, 'kvm_vm_disk_reads_completed_total', labels), disk.of.read.done.value);
        assert.equal(sample(samples, 'kvm_vm_disk_queues', labels), vm.queues);
      }
      for (const thread of vm.threads) {
        const { role, index, id } = thread.spec;
        if (role === 'other') continue;
        const label = { emulator: 'emulator', iothread: `iothread:${id}`, sqpoll: 'sqpoll0' }[role as string];
        const labels = { ...of, thread: label ?? `${role}${index}` };
        assert.equal(sample(samples, 'kvm_thread_run_seconds_total', labels), thread.runNs / 1e9);
        assert.equal(sample(samples, 'kvm_thread_migrations_total', labels), thread.migrations.value);
        assert.equal(sample(samples, 'kvm_thread_wait_seconds_total', labels), thread.wait.value / 1e9);
      }
    }
    for (const key of series(samples, 'kvm_telemetry_collector_success')) {
      if (!key.includes('"trace"')) assert.equal(samples.get(key), 1, key);
    }
  });

  for (const configuration of CONFIGURATIONS) {
    it(`reproduces the paper's figures of ${configuration}`, async (context) => {
      const { host } = paper({ seed: 2 }, configuration);
      steps(host, 5);
      const root = await served(context, host);
      const daemon = await startDaemon(context, [
        `--path.rootfs=${root}`,
        `--state.dir=${simulatedRoot(context)}`,
      ]);
      const counted = 'kvm_vm_io_path_events_total';
      const isWhole = (samples: Samples): boolean =>
        [counted, 'kvm_vm_disk_reads_completed_total'].every((name) => series(samples, name).length > 0);
      let before: Samples;
      do {
        await sleep(100);
        host.step(1);
        before = parseSamples(await daemon.metrics());
      } while (!isWhole(before));
      steps(host, 60);
      // While this process computes, its monitors do not respond, so virtual time stops until they do.
      let after: Samples;
      do {
        await sleep(100);
        after = parseSamples(await daemon.metrics());
      } while (!isWhole(after));
      const grown = (name: string, labels: Record<string, string> = {}): number =>
        total(after, name, labels) - total(before, name, labels);
      const expected = CALIBRATION[configuration];
      const ios = grown('kvm_vm_disk_reads_completed_total');
      near(ios / 60, expected.iops, 0.02, 'IOPS');
      const exits = expected.kicksPerIo + expected.interruptsPerIo * 2;
      const events = ['kick', 'inject', 'eoi'].map((step) => grown(counted, { step }));
      near(events.reduce((sum, each) => sum + each) / ios, exits, 0.02, 'kicks, injections and EOIs per I/O');
      near(grown('kvm_vm_exits_total') / ios, exits, 0.02, 'exits per I/O');
      const cpus = (expected.vcpuGuest + expected.vcpuSystem) * 6 + expected.ioUser + expected.ioSystem;
      near(grown('kvm_thread_run_seconds_total') / 60, cpus, 0.02, 'CPUs');
      await daemon.stop();
    });
  }

  it('counts exits by reason, kicks by queue and vCPU, and requests in the simulated tracefs', async (context) => {
    const { host } = paper({ seed: 4 }, 'pinned_queues');
    const root = await served(context, host);
    steps(host, 3);
    const daemon = await startDaemon(context, [
      `--path.rootfs=${root}`,
      '--trace.sets=exits,interrupts,block,notifications,sched',
      `--state.dir=${simulatedRoot(context)}`,
    ]);
    const vm = host.vm('paper');
    const exitsOf = (): number[] => vm.vcpus.map(({ exits }) => exits.value('EPT_MISCONFIG'));
    let first: Samples;
    const traced = [
      'kvm_virtqueue_kicks_total',
      'kvm_vm_exits_by_reason_total',
      'kvm_vm_block_requests_total',
    ];
    do {
      host.step(1);
      await sleep(100);
      first = parseSamples(await daemon.metrics());
      // A set with a missing trigger is about to be installed again, which would lose a step.
    } while (
      traced.some((name) => series(first, name).length === 0) ||
      sample(first, 'kvm_telemetry_collector_success', { collector: 'trace' }) !== 1
    );
    const before = exitsOf();
    const reads = vm.disks[0]?.of.read.done.value ?? 0;
    for (let i = 0; i < 5; i++) {
      host.step(1);
      await sleep(20);
    }
    const second = parseSamples(await daemon.metrics());
    const grown = (name: string, labels: Record<string, string>): number =>
      total(second, name, labels) - total(first, name, labels);
    for (const [v, count] of exitsOf().entries()) {
      // Each vCPU has a queue of its own.
      const labels = { vm: 'paper', queue: String(v), vcpu: String(v) };
      assert.equal(grown('kvm_virtqueue_kicks_total', labels), count - (before[v] ?? 0));
    }
    const kicks = exitsOf().reduce((sum, count, v) => sum + count - (before[v] ?? 0), 0);
    assert.equal(grown('kvm_vm_exits_by_reason_total', { vm: 'paper', reason: 'EPT_MISCONFIG' }), kicks);
    const requests = (vm.disks[0]?.of.read.done.value ?? 0) - reads;
    near(grown('kvm_vm_block_requests_total', { vm: 'paper' }), requests, 0.0001, 'block requests');
    await daemon.stop();
  });
});

describe('scripted events', () => {
  it('show a storm, a stall, failed halt polls, a monitor that hangs, lockdown and the end of a VM', async (context) => {
    const { host } = demo({ seed: 6 });
    const root = await served(context, host);
    steps(host, 5);
    const before = await once(root);
    host.faults.exitStorm('web', 50_000);
    host.faults.stallIo('kv', true);
    host.faults.wasteHaltPolls('mail', true);
    steps(host, 10);
    const after = await once(root);
    const rate = (name: string, vm: string): number =>
      (total(after, name, { vm }) - total(before, name, { vm })) / 10;
    near(rate('kvm_vm_io_exits_total', 'web'), 50_000, 0.01, 'storm');
    assert.equal(rate('kvm_vm_disk_reads_completed_total', 'kv'), 0);
    near(rate('kvm_vm_halt_poll_fail_seconds_total', 'mail'), 0.4 * 6, 0.05, 'halt polls');

    host.faults.hangMonitor('kv', true);
    host.lockdown = 'integrity';
    host.destroy('web');
    host.step(1);
    const troubled = await once(root);
    assert.equal(sample(troubled, 'kvm_vm_source_up', { vm: 'kv' }), 0);
    assert.equal(series(troubled, 'kvm_vm_exits_total', { vm: 'kv' }).length, 0);
    assert.equal(series(troubled, 'kvm_vm_exits_total', { vm: 'mail' }).length, 1);
    assert.deepEqual(
      [...troubled.keys()].filter((key) => key.includes('"web"')),
      [],
    );
  });

  it('show a reboot as another process and a drift as unexpected masks', async (context) => {
    const { host } = demo({ seed: 6 });
    const root = await served(context, host);
    steps(host, 5);
    const [first] = series(await once(root), 'kvm_vm_info', { vm: 'mail' });
    host.reboot('mail');
    host.faults.drift('db-a', 'shared_cpu');
    host.step(1);
    const samples = await once(root);
    const [second] = series(samples, 'kvm_vm_info', { vm: 'mail' });
    assert.notEqual(second, first);
    const kinds = [...samples]
      .filter(([key, value]) => key.startsWith('kvm_thread_affinity_drift{vm="db-a"') && value === 1)
      .map(([key]) => /kind="(\w+)"/.exec(key)?.[1]);
    assert.ok(kinds.includes('mask_changed') && kinds.includes('shared_cpu'), kinds.join());
  });

  it('let no counter of a running VM fall in a long run with many events', async (context) => {
    const { host } = demo({ seed: 9 });
    const root = await served(context, host);
    steps(host, 2);
    const daemon = await startDaemon(context, [
      `--path.rootfs=${root}`,
      `--state.dir=${simulatedRoot(context)}`,
      '--vcpu.statistics=all',
    ]);
    let before: Samples = new Map();
    let held = 0;
    for (let round = 0; round < 60; round++) {
      host.step(1);
      if (round === 15) host.faults.drift('mail', 'other_node');
      if (round === 20) host.faults.exitStorm('web', 90_000);
      if (round === 30) host.faults.hangMonitor('kv', true);
      if (round === 45) host.faults.hangMonitor('kv', false);
      const now = parseSamples(await daemon.metrics());
      held += assertNoneFalls(before, now, `round ${round}`);
      for (const key of series(now, 'kvm_thread_run_seconds_total', { role: 'vcpu' })) {
        const [, labels = ''] = /\{(.*)\}/.exec(key) ?? [];
        const modes = ['user', 'system', 'guest'].map(
          (mode) => now.get(`kvm_thread_cpu_seconds_total{${labels},mode="${mode}"}`) ?? Number.NaN,
        );
        const cpu = modes.reduce((sum, each) => sum + each, 0);
        assert.ok(
          Math.abs(cpu - (now.get(key) ?? 0)) < 0.011,
          `round ${round}: ${labels}: ${cpu} of ${now.get(key)}`,
        );
      }
      before = now;
    }
    assert.ok(held > 50_000, `${held} comparisons`);
    await daemon.stop();
  });
});

const nodeExporter = 'prometheus-node-exporter';
const isInstalled = spawnSync(nodeExporter, ['--version']).status === 0;

describe('node_exporter', { skip: isInstalled ? false : `${nodeExporter} is not installed` }, () => {
  it('reads the same values from /proc/stat and /proc/diskstats', async (context) => {
    const { host } = demo({ seed: 8 });
    const root = await served(context, host);
    steps(host, 30);
    const listen = '127.0.0.1:19971';
    const flags = [
      '--collector.disable-defaults',
      '--collector.cpu',
      '--collector.diskstats',
      '--collector.stat',
    ];
    const child = spawn(
      nodeExporter,
      [`--path.procfs=${root}/proc`, `--path.sysfs=${root}/sys`, `--web.listen-address=${listen}`, ...flags],
      { stdio: 'ignore' },
    );
    context.after(() => child.kill());
    let text = '';
    for (let tries = 0; tries < 100 && text === ''; tries++) {
      await sleep(100);
      text = await fetch(`http://${listen}/metrics`)
        .then((reply) => reply.text())
        .catch(() => '');
    }
    const theirs = parseSamples(text);
    const ours = await once(root);
    for (const disk of host.disks) {
      const device = { device: disk.spec.name };
      assert.equal(sample(theirs, 'node_disk_reads_completed_total', device), disk.of.read.done.value);
      assert.equal(sample(theirs, 'node_disk_read_bytes_total', device), disk.sectors('read') * 512);
      assert.equal(sample(theirs, 'node_disk_io_now', device), inflightOf(disk));
      assert.equal(sample(ours, 'kvm_block_reads_completed_total', device), disk.of.read.done.value);
    }
    const guest = host.vms
      .flatMap(({ threads }) => threads)
      .reduce((sum, thread) => sum + thread.guest.value, 0);
    near(total(theirs, 'node_cpu_guest_seconds_total', { mode: 'user' }), guest / 1e9, 0.01, 'guest time');
    assert.equal(series(theirs, 'node_cpu_seconds_total', { mode: 'idle' }).length, 128);
    assert.equal(sample(theirs, 'node_boot_time_seconds'), 1_760_000_000 - 600);
  });
});
