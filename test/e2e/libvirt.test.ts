import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../../testing/daemon.ts';
import { isLibvirtRunning, startLibvirt } from '../../testing/libvirt.ts';
import { sample, series } from '../../testing/metrics.ts';
import { hasKvm, threadId } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

test('a domain of a real libvirtd: statistics, pins, suspend, a hanging libvirtd, destroy', async (context) => {
  if (!hasTool(context, 'libvirtd', 'libvirt-daemon-system') || !hasTool(context, 'virsh', 'libvirt-clients'))
    return;
  if (!has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')) return;
  if (!has(context, process.geteuid?.() === 0, 'only root can start libvirtd')) return;
  if (!has(context, !(await isLibvirtRunning()), 'a libvirtd runs here that is not ours to stop')) return;
  const libvirt = await startLibvirt(context);
  libvirt.create('kt-lv');
  const daemon = await startDaemon(context, ['--bpf=off']);
  const vm = { vm: 'kt-lv' };
  const masks = ['mask_widened', 'mask_changed', 'unpinned'];
  const drifting = async (): Promise<string[]> => {
    const samples = await daemon.samples();
    return masks.filter(
      (kind) => sample(samples, 'kvm_thread_affinity_drift', { ...vm, thread: 'vcpu0', kind }) === 1,
    );
  };
  const becomes = async (expected: readonly string[]): Promise<void> => {
    for (let i = 0; i < 50 && (await drifting()).join() !== expected.join(); i++) await sleep(100);
    assert.deepEqual(await drifting(), expected);
  };

  await context.test('the domain has the statistics of each vCPU from libvirt', async () => {
    const first = await daemon.samples();
    assert.equal(sample(first, 'kvm_vm_info', { ...vm, manager: 'libvirt', accel: 'kvm' }), 1);
    assert.equal(sample(first, 'kvm_vm_source_info', { ...vm, source: 'libvirt' }), 1);
    assert.equal(sample(first, 'kvm_vm_state_info', { ...vm, state: 'running' }), 1);
    await sleep(500);
    const second = await daemon.samples();
    const exits = [0, 1].map((vcpu) => sample(second, 'kvm_vcpu_exits_total', { ...vm, vcpu: String(vcpu) }));
    assert.equal(sample(second, 'kvm_vm_exits_total', vm), (exits[0] ?? 0) + (exits[1] ?? 0));
    const emulated = 'kvm_vcpu_insn_emulation_total';
    const vcpu0 = { ...vm, vcpu: '0' };
    assert.ok(sample(second, emulated, vcpu0) > sample(first, emulated, vcpu0), 'they grow');
    assert.equal(sample(second, 'kvm_vm_disk_reads_completed_total', { ...vm, disk: 'vda' }), 0);
    assert.equal(
      sample(second, 'kvm_iothread_poll_max_seconds', { ...vm, iothread: 'iothread1' }),
      0.000032768,
    );
  });

  await context.test('the pins of the XML are in force', async () => {
    const samples = await daemon.samples();
    for (const thread of ['vcpu0', 'vcpu1', 'iothread:iothread1']) {
      assert.equal(sample(samples, 'kvm_thread_allowed_cpus', { ...vm, thread }), 1, thread);
    }
  });

  await context.test(
    'a pin that libvirt moves is the new expectation; a thread that another program moves is drift',
    async () => {
      const tid = threadId(Number(pidOf('kt-lv')), 'CPU 0/KVM');
      await becomes([]);
      libvirt.virsh('vcpupin', 'kt-lv', '0', '1', '--live');
      await sleep(3000);
      await becomes([]);
      assert.deepEqual(
        daemon.log.filter(({ kind, thread }) => thread === 'vcpu0' && masks.includes(String(kind))),
        [],
      );

      // libvirt confines each vCPU by a cpuset as well: with that wider, the thread may run where the cpuset lets it.
      const online = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim();
      writeFileSync(cpusetOf(tid), online);
      execFileSync('taskset', ['-pc', online, tid], { stdio: 'ignore' });
      await becomes(['unpinned']);
      const told = daemon.log.find(({ kind, thread }) => thread === 'vcpu0' && kind === 'unpinned');
      assert.equal(told?.['fix'], 'virsh vcpupin kt-lv 0 1 --live');
      libvirt.virsh('vcpupin', 'kt-lv', '0', '1', '--live');
      await becomes([]);
    },
  );

  await context.test('a suspended domain is still exported, as paused', async () => {
    libvirt.virsh('suspend', 'kt-lv');
    const samples = await daemon.samples();
    assert.equal(sample(samples, 'kvm_vm_state_info', { ...vm, state: 'paused' }), 1);
    assert.ok(sample(samples, 'kvm_vcpu_exits_total', { ...vm, vcpu: '0' }) > 0);
    libvirt.virsh('resume', 'kt-lv');
  });

  await context.test('a pin that changes while the VM is paused is drift at once', async () => {
    libvirt.virsh('suspend', 'kt-lv');
    const tid = threadId(Number(pidOf('kt-lv')), 'CPU 0/KVM');
    await becomes([]);
    writeFileSync(cpusetOf(tid), '0-1');
    execFileSync('taskset', ['-pc', '0', tid], { stdio: 'ignore' });
    await becomes(['mask_changed']);
    assert.equal(sample(await daemon.samples(), 'kvm_vm_state_info', { ...vm, state: 'paused' }), 1);
    libvirt.virsh('vcpupin', 'kt-lv', '0', '1', '--live');
    await becomes([]);
    libvirt.virsh('resume', 'kt-lv');
    await becomes([]);
  });

  await context.test(
    'a libvirtd that hangs costs its own statistics, two seconds once, and nothing else',
    async () => {
      libvirt.process.kill('SIGSTOP');
      try {
        const begin = performance.now();
        const samples = await daemon.samples();
        assert.ok(performance.now() - begin < 4000, `${performance.now() - begin} ms`);
        assert.equal(sample(samples, 'kvm_vm_source_up', { ...vm, source: 'libvirt' }), 0);
        assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'libvirt' }), 0);
        assert.equal(series(samples, 'kvm_vcpu_exits_total', vm).length, 0);
        assert.ok(sample(samples, 'kvm_thread_run_seconds_total', { ...vm, thread: 'vcpu0' }) > 0);
        const again = performance.now();
        await daemon.samples();
        assert.ok(performance.now() - again < 1000, 'it is left alone for a while');
      } finally {
        libvirt.process.kill('SIGCONT');
      }
      const said = daemon.log.filter((entry) => entry['collector'] === 'libvirt');
      assert.match(String(said.at(-1)?.['reason']), /no response from libvirt in 2000 ms/);
    },
  );

  await context.test('a destroyed domain is gone', async () => {
    libvirt.virsh('destroy', 'kt-lv');
    assert.ok(!(await daemon.metrics()).includes('kt-lv'));
  });
});

/** The file that confines a thread, of cgroup v1 or v2. */
function cpusetOf(tid: string): string {
  const cgroups = readFileSync(`/proc/${tid}/cgroup`, 'utf8');
  const v1 = /^\d+:cpuset:(.*)$/m.exec(cgroups)?.[1];
  if (v1 !== undefined) return `/sys/fs/cgroup/cpuset${v1}/cpuset.cpus`;
  return `/sys/fs/cgroup${/^0::(.*)$/m.exec(cgroups)?.[1]}/cpuset.cpus`;
}

function pidOf(domain: string): string {
  return readFileSync(`/run/libvirt/qemu/${domain}.pid`, 'utf8').trim();
}
