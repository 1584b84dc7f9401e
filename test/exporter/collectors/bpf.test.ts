import assert from 'node:assert/strict';
import { test } from 'node:test';
import { vcpuRow, vmRow } from '../../../testing/bpf-rows.ts';
import { sample, series } from '../../../testing/metrics.ts';
import { qemuReplies, startVmWithMonitor } from '../../../testing/vm-with-monitor.ts';

const WEB = { vm: 'web' };
const vcpu = (id: number, exits: number): Buffer =>
  vcpuRow({ pid: 10, id, tid: 11 + id, statistics: { exits, blocking: id } });

test("the kernel's counters come before QEMU's and those of debugfs, and nothing counts twice", async (context) => {
  const rows = Buffer.concat([vmRow(10, { pages_4k: 6 }), vcpu(0, 500), vcpu(1, 501)]);
  const { scrape, server } = await startVmWithMonitor(
    context,
    qemuReplies({ exits: 600, hypercalls: 3 }, { pages_4k: 5 }),
    {},
    rows,
  );
  const { samples } = await scrape();
  assert.equal(sample(samples, 'kvm_vm_exits_total', WEB), 1001);
  assert.equal(sample(samples, 'kvm_vcpu_exits_total', { ...WEB, vcpu: '1' }), 501);
  assert.equal(sample(samples, 'kvm_vm_pages_4k', WEB), 6);
  assert.equal(sample(samples, 'kvm_vm_blocking', WEB), 1, 'the kernel is not disturbed');
  assert.equal(sample(samples, 'kvm_vcpu_hypercalls_total', { ...WEB, vcpu: '0' }), 3, 'QEMU has more');
  for (const source of ['bpf', 'qmp']) {
    assert.equal(sample(samples, 'kvm_vm_source_info', { ...WEB, source }), 1);
    assert.equal(sample(samples, 'kvm_vm_source_up', { ...WEB, source }), 1);
  }
  assert.deepEqual(series(samples, 'kvm_vm_source_info', { source: 'debugfs' }), []);
  assert.equal(sample(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' }), 1);
  assert.ok(server.received.includes('query-stats'));
});

test('each vCPU shows its current window of halt polling, if the kernel has one', async (context) => {
  const rows = Buffer.concat([vmRow(10), vcpuRow({ pid: 10, id: 0, haltPollNs: 200_000 }), vcpu(1, 1)]);
  const { scrape } = await startVmWithMonitor(context, qemuReplies({ exits: 600 }), {}, rows);
  const { samples } = await scrape();
  assert.deepEqual(
    series(samples, 'kvm_vcpu_halt_poll_seconds', WEB).map((key) => [key, samples.get(key)]),
    [['kvm_vcpu_halt_poll_seconds{vm="web",vcpu="0"}', 0.0002]],
  );
});

test('APICv is shown by reason and by vCPU, and the type of a confidential VM', async (context) => {
  const apicv = [true, false].map((isApicvActive, id) =>
    vcpuRow({ pid: 10, id, tid: 11 + id, isApicvActive }),
  );
  const vm = vmRow(10, {}, undefined, { apicvInhibited: 2 ** 3 + 2 ** 9, type: 4 });
  const { scrape } = await startVmWithMonitor(
    context,
    qemuReplies({ exits: 600 }),
    {},
    Buffer.concat([vm, ...apicv]),
  );
  const { samples } = await scrape();
  const found = ['kvm_vcpu_apicv_active', 'kvm_vm_apicv_inhibited', 'kvm_vm_confidential_info'].flatMap(
    (name) => series(samples, name, WEB).map((key) => [key, samples.get(key)]),
  );
  assert.deepEqual(found, [
    ['kvm_vcpu_apicv_active{vm="web",vcpu="0"}', 1],
    ['kvm_vcpu_apicv_active{vm="web",vcpu="1"}', 0],
    ['kvm_vm_apicv_inhibited{vm="web",reason="blockirq"}', 1],
    ['kvm_vm_apicv_inhibited{vm="web",reason="pit_reinj"}', 1],
    ['kvm_vm_confidential_info{vm="web",type="sev_snp"}', 1],
  ]);
});

test('QEMU gets no request for statistics that the kernel has given, so no vCPU wakes up', async (context) => {
  const rows = Buffer.concat([vmRow(10), vcpu(0, 500), vcpu(1, 501)]);
  const { scrape, server } = await startVmWithMonitor(context, qemuReplies({ exits: 600 }), {}, rows);
  await scrape();
  const before = server.received.length;
  const { samples } = await scrape();
  const sent = server.received.slice(before);
  assert.ok(sent.includes('query-blockstats'), 'its disks are');
  assert.ok(!sent.includes('query-stats'), sent.join());
  assert.equal(sample(samples, 'kvm_vcpu_exits_total', { ...WEB, vcpu: '0' }), 500);
  assert.deepEqual(series(samples, 'kvm_vm_source_info', { source: 'qmp' }), []);
});

test('when the rows are damaged QEMU takes over, and no counter falls when they return', async (context) => {
  const rows = (exits: number): Buffer => Buffer.concat([vmRow(10), vcpu(0, exits), vcpu(1, exits)]);
  const { scrape, writeRows } = await startVmWithMonitor(context, qemuReplies({ exits: 400 }), {}, rows(500));
  const exits = async (): Promise<[number, number]> => {
    const { samples } = await scrape();
    const success = sample(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' });
    return [sample(samples, 'kvm_vm_exits_total', WEB), success];
  };
  assert.deepEqual(await exits(), [1000, 1]);
  writeRows(rows(500).subarray(0, -3));
  assert.deepEqual(await exits(), [1000, 0]);
  writeRows(rows(510));
  assert.deepEqual(await exits(), [1020, 1]);
});

test('with --bpf=off the rows are not read', async (context) => {
  const rows = Buffer.concat([vmRow(10), vcpu(0, 500)]);
  const { samples } = await (
    await startVmWithMonitor(context, qemuReplies({ exits: 400 }), { bpf: 'off' }, rows)
  ).scrape();
  assert.equal(sample(samples, 'kvm_vm_exits_total', WEB), 800);
  assert.deepEqual(series(samples, 'kvm_telemetry_collector_success', { collector: 'bpf' }), []);
});
