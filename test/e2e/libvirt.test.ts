import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../support/daemon.ts';
import { isLibvirtRunning, startLibvirt } from '../support/libvirt.ts';
import { parseSamples, sample, series } from '../support/metrics.ts';
import { hasKvm } from '../support/qemu.ts';
import { has, hasTool } from '../support/tools.ts';

test('a domain of a real libvirtd: statistics, pins, suspend, a libvirtd that hangs, destroy', async (context) => {
  if (!hasTool(context, 'libvirtd', 'libvirt-daemon-system') || !hasTool(context, 'virsh', 'libvirt-clients'))
    return;
  if (!has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')) return;
  if (!has(context, process.geteuid?.() === 0, 'only root can start libvirtd')) return;
  if (!has(context, !(await isLibvirtRunning()), 'a libvirtd runs here that is not ours to stop')) return;
  const libvirt = await startLibvirt(context);
  libvirt.create('kt-lv');
  const daemon = await startDaemon(context);
  const scrape = async () => parseSamples(await daemon.metrics());
  const vm = { vm: 'kt-lv' };

  await context.test('it is known by libvirt, with the statistics of each vCPU', async () => {
    const first = await scrape();
    assert.equal(sample(first, 'kvm_vm_info', { ...vm, manager: 'libvirt', accel: 'kvm' }), 1);
    assert.equal(sample(first, 'kvm_vm_source_info', { ...vm, source: 'libvirt' }), 1);
    assert.equal(sample(first, 'kvm_vm_state_info', { ...vm, state: 'running' }), 1);
    await sleep(500);
    const second = await scrape();
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

  await context.test('the pins of its XML are in force', async () => {
    const samples = await scrape();
    for (const thread of ['vcpu0', 'vcpu1', 'iothread:iothread1']) {
      assert.equal(sample(samples, 'kvm_thread_allowed_cpus', { ...vm, thread }), 1, thread);
    }
  });

  await context.test('suspended it is still there, and paused', async () => {
    libvirt.virsh('suspend', 'kt-lv');
    const samples = await scrape();
    assert.equal(sample(samples, 'kvm_vm_state_info', { ...vm, state: 'paused' }), 1);
    assert.ok(sample(samples, 'kvm_vcpu_exits_total', { ...vm, vcpu: '0' }) > 0);
    libvirt.virsh('resume', 'kt-lv');
  });

  await context.test(
    'a libvirtd that hangs costs its own statistics, two seconds once, and nothing else',
    async () => {
      libvirt.process.kill('SIGSTOP');
      try {
        const begin = performance.now();
        const samples = await scrape();
        assert.ok(performance.now() - begin < 4000, `${performance.now() - begin} ms`);
        assert.equal(sample(samples, 'kvm_vm_source_up', { ...vm, source: 'libvirt' }), 0);
        assert.equal(sample(samples, 'kvm_telemetry_probe_success', { probe: 'libvirt' }), 0);
        assert.equal(series(samples, 'kvm_vcpu_exits_total', vm).length, 0);
        assert.ok(sample(samples, 'kvm_thread_run_seconds_total', { ...vm, thread: 'vcpu0' }) > 0);
        const again = performance.now();
        await scrape();
        assert.ok(performance.now() - again < 1000, 'it is left alone for a while');
      } finally {
        libvirt.process.kill('SIGCONT');
      }
      const said = daemon.log.filter((entry) => entry['probe'] === 'libvirt');
      assert.match(String(said.at(-1)?.['reason']), /no answer in 2000 ms/);
    },
  );

  await context.test('destroyed it is gone', async () => {
    libvirt.virsh('destroy', 'kt-lv');
    assert.ok(!(await daemon.metrics()).includes('kt-lv'));
  });
});
