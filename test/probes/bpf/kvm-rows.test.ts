import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  APICV_INHIBIT_REASONS,
  parseKvmRows,
  VCPU_STATISTICS,
  VM_STATISTICS,
} from '../../../probes/bpf/kvm-rows.ts';
import { SourceError } from '../../../probes/errors.ts';
import { ioeventfdRow, vcpuRow, vmRow } from '../../../testing/bpf-rows.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { histogramsOfRow, statisticsOfRow } from '../../../testing/vcpu-table.ts';

const parse = (...rows: Buffer[]) => parseKvmRows(Buffer.concat(rows), 'rows');

test('the statistics have the order of the C header', () => {
  const header = readFileSync(`${ROOT}probes/bpf/kvm-statistics.h`, 'utf8');
  const namesOf = (...lists: string[]): string[] =>
    lists.flatMap((list) => {
      const [, body = ''] = header.split(`#define ${list}(X)`);
      const [macro = ''] = body.split(/\n(?!\t)/);
      return Array.from(macro.matchAll(/X\((\w+)\)/g), ([, name = '']) => name);
    });
  assert.deepEqual(namesOf('VCPU_STATISTICS_GENERIC', 'VCPU_STATISTICS_ARCH'), [...VCPU_STATISTICS]);
  const vm = namesOf('VM_STATISTICS_GENERIC', 'VM_STATISTICS_ARCH', 'VM_STATISTICS_ATOMIC');
  assert.deepEqual(vm, [...VM_STATISTICS]);
  assert.ok(Math.max(VCPU_STATISTICS.length, VM_STATISTICS.length) <= 64, 'one bit each');
});

test('the reasons against APICv have the order of the C header', () => {
  const header = readFileSync(`${ROOT}probes/bpf/apicv-inhibit.h`, 'utf8');
  const [, list = ''] = header.split('#define APICV_INHIBIT_REASONS(X)');
  const names = Array.from(list.matchAll(/X\((\w+)\)/g), ([, name = '']) => name.toLowerCase());
  assert.deepEqual([...names, 'other'], [...APICV_INHIBIT_REASONS]);
});

test('what this kernel does not have is undefined, and no claim', () => {
  const { vms, vcpus } = parse(vmRow(7), vcpuRow({ pid: 7, id: 0 }));
  assert.deepEqual([vms[0]?.apicvInhibited, vms[0]?.confidential], [undefined, undefined]);
  assert.equal(vcpus[0]?.isApicvActive, undefined);
});

test('APICv: each reason of a VM, and whether it is active in a vCPU', () => {
  const other = 2 ** (APICV_INHIBIT_REASONS.length - 1);
  const { vms, vcpus } = parse(
    vmRow(7, {}, 1n, { apicvInhibited: 0 }),
    vmRow(7, {}, 2n, { apicvInhibited: 1 + 2 ** 8 + other }),
    vcpuRow({ pid: 7, vm: 1n, id: 0, isApicvActive: true }),
    vcpuRow({ pid: 7, vm: 1n, id: 1, isApicvActive: false }),
  );
  assert.deepEqual(
    vms.map(({ apicvInhibited }) => apicvInhibited),
    [[], ['disabled', 'irqwin', 'other']],
  );
  assert.deepEqual(
    vcpus.map(({ isApicvActive }) => isApicvActive),
    [true, false],
  );
});

test('notify addresses: two entries of an address are one, and values tell the queues of a port apart', () => {
  const { vms } = parse(
    ioeventfdRow(7, 0xc010n, true, 0),
    ioeventfdRow(7, 0xc010n, true, 1),
    ioeventfdRow(7, 0xfe00_3004n, false),
    ioeventfdRow(7, 0xfe00_3004n, false),
    ioeventfdRow(7, 0xfe00_3000n, false),
    vmRow(7, {}, undefined, { hasIoeventfds: true }),
    // A second descriptor of the VM.
    ioeventfdRow(7, 0xc010n, true, 2),
    vmRow(7, {}, undefined, { hasIoeventfds: true }),
    vmRow(8, {}, undefined, { hasIoeventfds: true }),
    vmRow(9),
  );
  assert.deepEqual(
    vms.map(({ notifyAddresses }) => notifyAddresses),
    [
      [
        { address: 0xfe00_3000, isPort: false, queues: 1 },
        { address: 0xfe00_3004, isPort: false, queues: 1 },
        { address: 0xc010, isPort: true, queues: 2 },
      ],
      [],
      undefined,
    ],
  );
});

test('as many notify addresses as a row can have may be too few: unknown', () => {
  const header = readFileSync(`${ROOT}probes/bpf/rows.h`, 'utf8');
  const most = Number(/#define MAX_IOEVENTFDS (\d+)/.exec(header)?.[1]);
  const found = (count: number) => {
    const all = Array.from({ length: count }, (_, i) => ioeventfdRow(7, BigInt(i * 4), false));
    return parse(...all, vmRow(7, {}, undefined, { hasIoeventfds: true })).vms[0]?.notifyAddresses?.length;
  };
  assert.deepEqual([found(most - 1), found(most)], [most - 1, undefined]);
});

test('the types of confidential VMs are those of KVM, and others are not confidential', () => {
  const typeOf = (type: number) => parse(vmRow(7, {}, 1n, { type })).vms[0]?.confidential;
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6].map(typeOf), [
    undefined,
    undefined,
    'sev',
    'sev_es',
    'sev_snp',
    'tdx',
    undefined,
  ]);
});

test('a row has the statistics that this kernel has, also the last one and large values', () => {
  const statistics = { halt_successful_poll: 1, exits: 2 ** 52 + 1, mmio_exit_kernel: 3 };
  const { vcpus, vms } = parse(vmRow(7, { pages_1g: 4 }), vcpuRow({ pid: 7, id: 2, tid: 9, statistics }));
  assert.deepEqual(Object.fromEntries(statisticsOfRow(vcpus[0])), statistics);
  assert.deepEqual([vcpus[0]?.pid, vcpus[0]?.id, vcpus[0]?.tid], [7, 2, 9]);
  assert.deepEqual([...(vms[0]?.statistics ?? [])], [['pages_1g', 4]]);
  assert.equal(histogramsOfRow(vcpus[0]).size, 0, 'a kernel before 5.15 has no histograms');
});

test('histograms keep the order of the kernel', () => {
  const waits = Array.from({ length: 32 }, (_, i) => i);
  const [vcpu] = parse(vcpuRow({ pid: 1, id: 0, waits })).vcpus;
  assert.deepEqual(histogramsOfRow(vcpu).get('halt_wait_hist'), waits);
  assert.deepEqual(histogramsOfRow(vcpu).get('halt_poll_fail_hist'), Array(32).fill(0));
});

test('a descriptor that was duplicated counts once, and two VMs of a process are two', () => {
  const vcpu = vcpuRow({ pid: 7, id: 0, statistics: { exits: 5 } });
  const other = vcpuRow({ pid: 7, vm: 0xffff_8881_0000_1000n, id: 0, statistics: { exits: 6 } });
  const { vcpus, vms } = parse(vmRow(7), vcpu, vmRow(7), vcpu, other);
  assert.deepEqual(
    vcpus.map((row) => statisticsOfRow(row).get('exits')),
    [5, 6],
  );
  assert.equal(vms.length, 1);
});

test('rows that are cut, of another size or of another kind are malformed', () => {
  const row = vcpuRow({ pid: 1, id: 0 });
  const kind = Buffer.from(row);
  kind.writeUInt32LE(77, 0);
  const endless = Buffer.from(row);
  endless.writeUInt32LE(0, 4);
  const short = Buffer.concat([row.subarray(0, 16)]);
  short.writeUInt32LE(16, 4);
  for (const bytes of [row.subarray(0, -1), row.subarray(0, 5), kind, endless, short])
    assert.throws(() => parse(bytes), { name: 'SourceError', kind: 'malformed' });
});

test('hostile bytes give rows or a SourceError', () => {
  const row = vcpuRow({ pid: 1, id: 0 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(row.length), (bytes, at) => {
      const damaged = Buffer.concat([row.subarray(0, at), Buffer.from(bytes), row.subarray(at)]);
      try {
        parse(damaged);
      } catch (error) {
        assert.ok(error instanceof SourceError);
      }
    }),
  );
});
