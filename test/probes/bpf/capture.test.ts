import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureRows, withoutAddresses } from '../../../probes/bpf/capture.ts';
import { parseKvmRows } from '../../../probes/bpf/kvm-rows.ts';
import { openLibbpf } from '../../../probes/bpf/libbpf.ts';
import { MaskTexts } from '../../../probes/bpf/mask-texts.ts';
import { parseThreadRows } from '../../../probes/bpf/thread-rows.ts';
import { ioeventfdRow, vcpuRow, vmRow } from '../../../testing/bpf-rows.ts';
import { liveHost } from '../../../testing/captured.ts';
import { buildTinyVm, canRunTinyVms, startTinyVm } from '../../../testing/tiny-vm.ts';
import { has } from '../../../testing/tools.ts';
import { statisticsOfRow } from '../../../testing/vcpu-table.ts';

test('captured rows have numbers instead of addresses of the kernel, one for each VM', () => {
  const [a, b] = [0xffff_8881_0000_0000n, 0xffff_8881_0000_1000n];
  const rows = Buffer.concat([
    ioeventfdRow(7, 0xc050n, true, undefined, a),
    vmRow(7, { pages_4k: 5 }, a),
    vmRow(8, {}, b),
    vcpuRow({ pid: 7, vm: a, id: 3, statistics: { exits: 9 } }),
  ]);
  const changed = withoutAddresses(rows);
  const { vms, vcpus } = parseKvmRows(changed, 'rows');
  assert.deepEqual(
    [
      ...vms.map(({ pid, vm, statistics }) => [pid, vm, [...statistics.values()]]),
      ...vcpus.map((row) => [row.pid, row.vm, [...statisticsOfRow(row).values()]]),
    ],
    [
      [7, 1, [5]],
      [8, 2, []],
      [7, 1, [9]],
    ],
  );
  for (const address of [a, b]) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(address);
    assert.ok(rows.includes(bytes) && !changed.includes(bytes));
  }
});

test('a capture of this host has its VMs and their threads', async (context) => {
  if (!canRunTinyVms(context)) return;
  const { pid } = await startTinyVm(context, buildTinyVm(context), 60_000);
  let rows: ReturnType<typeof captureRows>;
  try {
    rows = captureRows(openLibbpf(), liveHost());
  } catch (error) {
    has(context, false, `BPF cannot be used here: ${String(error)}`);
    return;
  }
  const { vms } = parseKvmRows(rows.kvm, 'kvm');
  assert.ok(vms.every(({ vm }) => vm <= vms.length));
  assert.ok(vms.some((vm) => vm.pid === pid));
  const tasks = parseThreadRows(rows.threads, 'threads', new MaskTexts(8192));
  assert.equal(tasks.filter((task) => task.pid === pid).length, 2);
});
