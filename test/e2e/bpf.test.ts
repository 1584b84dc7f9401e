import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { qmpCommand } from '../../testing/guest-with-monitor.ts';
import { parseSamples, type Samples, sample, series } from '../../testing/metrics.ts';
import { type Guest, hasKvm, startGuest } from '../../testing/qemu.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../testing/tiny-vm.ts';
import { has, hasTool } from '../../testing/tools.ts';

/** No source but the kernel: debugfs is denied, and the exporter has no monitor. */
const ALONE = ['--path.debugfs=/nonexistent', '--no-collector.qmp', '--no-collector.libvirt'];

interface Source {
  readonly source: string;
  readonly usable: boolean;
  readonly series: number;
  readonly findings: readonly { readonly why: string; readonly fix?: string }[];
}

function doctor(args: readonly string[] = [], wrapper: readonly string[] = []): Source | undefined {
  const line = [...wrapper, process.execPath, `${ROOT}dist/exporter/main.js`, 'doctor', '--json'];
  const { stdout } = spawnSync(line[0] ?? '', [...line.slice(1), '--trace.backend=off', ...args], {
    encoding: 'utf8',
  });
  const { sources } = JSON.parse(stdout) as { sources: Source[] };
  return sources.find(({ source }) => source === 'bpf');
}

function canRun(context: TestContext): boolean {
  if (!has(context, hasKvm(), '/dev/kvm is missing: load kvm_intel or kvm_amd')) return false;
  const why = doctor()?.findings.map(({ why, fix }) => `${why}: ${fix}`) ?? [];
  return has(context, why.length === 0, `BPF cannot be used here: ${why.join()}`);
}

/** A guest with a monitor that the exporter does not know. */
function guestWithMonitor(context: TestContext, name: string, vcpus: number): Guest & { monitor: string } {
  const folder = mkdtempSync(join(tmpdir(), 'kt-bpf-'));
  const monitor = join(folder, 'qmp');
  const guest = startGuest({ name, vcpus, extra: ['-qmp', `unix:${monitor},server=on,wait=off`] });
  context.after(() => {
    guest.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return { ...guest, monitor };
}

/** A statistic of each vCPU by its index, as QEMU reports it. */
async function fromQemu(monitor: string, statistic: string): Promise<number[]> {
  const cpus = (await qmpCommand(monitor, { execute: 'query-cpus-fast' })) as {
    'qom-path': string;
    'cpu-index': number;
  }[];
  const stats = (await qmpCommand(monitor, { execute: 'query-stats', arguments: { target: 'vcpu' } })) as {
    'qom-path': string;
    stats: { name: string; value: unknown }[];
  }[];
  const values: number[] = [];
  for (const cpu of cpus) {
    const found = stats.find((each) => each['qom-path'] === cpu['qom-path']);
    values[cpu['cpu-index']] = Number(found?.stats.find(({ name }) => name === statistic)?.value);
  }
  return values;
}

test("without debugfs and monitor the vCPUs' counters lie between two readings of QEMU", async (context) => {
  if (!hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86') || !canRun(context)) return;
  const vm = guestWithMonitor(context, 'kt-bpf-exits', 2);
  const daemon = await startDaemon(context, ALONE);
  const first = parseSamples(await daemon.metrics());
  const reasons = series(first, 'kvm_vm_apicv_inhibited', { vm: 'kt-bpf-exits' });
  for (const vcpu of ['0', '1']) {
    // Either the CPU virtualizes the APIC, or KVM has a reason.
    const active = sample(first, 'kvm_vcpu_apicv_active', { vm: 'kt-bpf-exits', vcpu });
    assert.equal(active, reasons.length > 0 ? 0 : 1, reasons.join());
  }
  for (const statistic of ['exits', 'insn_emulation']) {
    let last = 0;
    for (let round = 0; round < 3; round++) {
      const before = await fromQemu(vm.monitor, statistic);
      const samples = parseSamples(await daemon.metrics());
      const after = await fromQemu(vm.monitor, statistic);
      let sum = 0;
      for (const vcpu of [0, 1]) {
        const labels = { vm: 'kt-bpf-exits', vcpu: String(vcpu) };
        const seen = sample(samples, `kvm_vcpu_${statistic}_total`, labels);
        const [least = 0, most = 0] = [before[vcpu], after[vcpu]];
        assert.ok(least <= seen && seen <= most, `${statistic} ${vcpu}: ${least} ${seen} ${most}`);
        sum += seen;
      }
      assert.equal(sample(samples, `kvm_vm_${statistic}_total`, { vm: 'kt-bpf-exits' }), sum);
      assert.ok(sum > last, 'it grows');
      last = sum;
      await sleep(200);
    }
  }
});

/** The label of the VM of a process. Other VMs may run on this machine. */
function labelOf(samples: Samples, pid: number | undefined): string {
  const [info = ''] = series(samples, 'kvm_vm_info', { pid: String(pid) });
  return /vm="([^"]*)"/.exec(info)?.[1] ?? 'unknown VM';
}

test('a VMM without any monitor has its statistics, and a VM that ends is no error', async (context) => {
  if (!canRunTinyVms(context) || !canRun(context)) return;
  const { child, pid } = await tinyVm(context);
  const daemon = await startDaemon(context, ALONE);
  const samples = parseSamples(await daemon.metrics());
  const vm = labelOf(samples, pid);
  assert.equal(sample(samples, 'kvm_vm_source_info', { vm, source: 'bpf' }), 1);
  assert.equal(series(samples, 'kvm_vcpu_exits_total', { vm, vcpu: '0' }).length, 1);
  for (const object of ['kvm-module', 'threads'])
    assert.equal(sample(samples, 'kvm_telemetry_bpf_object_loaded', { object }), 1);
  const window = sample(samples, 'kvm_vcpu_halt_poll_seconds', { vm, vcpu: '0' });
  const most = readFileSync('/sys/module/kvm/parameters/halt_poll_ns', 'utf8');
  assert.ok(window >= 0 && window <= Number(most) / 1e9, `${window} ${most}`);
  assert.deepEqual(series(samples, 'kvm_vcpu_apicv_active', { vm }), [], 'it has no APIC in KVM');
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  const after = parseSamples(await daemon.metrics());
  assert.equal(sample(after, 'kvm_telemetry_collector_success', { collector: 'bpf' }), 1);
  assert.deepEqual(series(after, 'kvm_vcpu_exits_total', { vm }), []);
});

test('two exporters do not disturb each other', async (context) => {
  if (!canRunTinyVms(context) || !canRun(context)) return;
  const { pid } = await tinyVm(context);
  const daemons = [await startDaemon(context, ALONE), await startDaemon(context, ALONE)];
  for (const daemon of daemons) {
    const samples = parseSamples(await daemon.metrics());
    const vm = labelOf(samples, pid);
    assert.equal(sample(samples, 'kvm_vm_source_info', { vm, source: 'bpf' }), 1);
  }
});

async function tinyVm(context: TestContext): Promise<{ child: ChildProcess; pid: number | undefined }> {
  const child = await startTinyVm(context, buildTinyVm(context, 'kt-bpf-tiny'), 600_000);
  return { child, pid: child.pid };
}

test('another pid namespace is recognised', async (context) => {
  if (!hasTool(context, 'unshare', 'util-linux') || !canRun(context)) return;
  const source = doctor([], ['unshare', '--pid', '--fork', '--mount-proc']);
  assert.match(source?.findings[0]?.fix ?? '', /--pid=host/);
});

test('with --bpf=off the source bpf does not exist', (context) => {
  if (!canRun(context)) return;
  assert.equal(doctor(['--bpf=off']), undefined);
});
