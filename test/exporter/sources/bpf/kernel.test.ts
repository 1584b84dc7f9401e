import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { KernelStatistics } from '../../../../exporter/sources/bpf/kernel.ts';
import type { BpfSettings } from '../../../../exporter/sources/bpf/object.ts';
import type { RowReader } from '../../../../exporter/sources/bpf/row-reader.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { vcpuRow, vmRow } from '../../../../testing/bpf-rows.ts';
import { capturedHost, liveHost } from '../../../../testing/captured.ts';
import { statisticOf } from '../../../../testing/vcpu-table.ts';

const vm = (pid: number, accel: 'kvm' | 'tcg' = 'kvm') => ({ key: `${pid}:1`, pid, accel }) as unknown as Vm;
const AUTO: BpfSettings = { mode: 'auto' };
const OFF: BpfSettings = { mode: 'off' };

function source(load: () => RowReader, index?: number): KernelStatistics {
  return new KernelStatistics(
    liveHost(),
    AUTO,
    () => index,
    () => load(),
  );
}

const reader = (...rows: Buffer[]): RowReader => ({
  read: () => Buffer.concat(rows),
  close: () => undefined,
});

test('statistics belong to the process of the VM, and other processes are ignored', () => {
  const rows = [7, 8].flatMap((pid) => [vmRow(pid), vcpuRow({ pid, id: 0, statistics: { exits: pid } })]);
  const kernel = source(() => reader(...rows));
  kernel.prepare();
  const { statistics, queried } = kernel.query([vm(7), vm(9), vm(10, 'tcg')]);
  assert.deepEqual([...statistics.keys()], ['7:1']);
  assert.equal(statisticOf(statistics.get('7:1')?.vcpus, 0, 'exits'), 7);
  assert.deepEqual([...queried], ['7:1', '9:1'], 'a VM without KVM is not expected');
  assert.deepEqual([...(kernel.namesOf('7:1') ?? [])], ['exits']);
  assert.equal(kernel.namesOf('9:1'), undefined);
});

test('a vCPU has the number of its thread, because an APIC id is not one', () => {
  const rows = [vmRow(7), vcpuRow({ pid: 7, id: 4, tid: 70, statistics: { exits: 1 } })];
  const kernel = source(() => reader(...rows), 3);
  kernel.prepare();
  const found = kernel.query([vm(7)]).statistics.get('7:1');
  assert.deepEqual(found?.vcpus.indexes, [3]);
});

test('the kernel reports which thread runs a vCPU, and none for a vCPU that never ran', () => {
  const rows = [vmRow(7), vcpuRow({ pid: 7, id: 4, tid: 70 }), vcpuRow({ pid: 7, id: 5 })];
  const kernel = source(() => reader(...rows));
  kernel.prepare();
  kernel.query([vm(7), vm(8)]);
  assert.deepEqual([...(kernel.vcpusOf(vm(7)) ?? [])], [[70, 4]]);
  assert.equal(kernel.vcpusOf(vm(8)), undefined);
});

test('one read gives the holders of VMs and the statistics of the same scrape', () => {
  let reads = 0;
  let at = 0;
  const read = () => {
    reads++;
    return vmRow(7, { pages_4k: reads });
  };
  const kernel = new KernelStatistics(
    liveHost(),
    AUTO,
    () => undefined,
    () => ({ read, close: () => undefined }),
    () => at,
  );
  assert.equal(kernel.holders(), undefined, 'not loaded yet');
  kernel.prepare();
  const pages = () =>
    kernel
      .query([vm(7)])
      .statistics.get('7:1')
      ?.vm.get('pages_4k');
  assert.deepEqual([...(kernel.holders() ?? [])], [7]);
  assert.deepEqual([pages(), reads], [1, 1]);
  assert.deepEqual([pages(), reads], [2, 2], 'the next scrape reads again');
  kernel.holders();
  at = 1000;
  assert.deepEqual([pages(), reads], [4, 4], 'a slow search for VMs does not make counters old');
});

test('two VMs of a process are added, as debugfs does', () => {
  const second = 0xffff_8881_0000_1000n;
  const waits = [0, 5];
  const rows = [
    vmRow(7, { pages_4k: 1 }),
    vmRow(7, { pages_4k: 2 }, second),
    vcpuRow({ pid: 7, id: 0, statistics: { exits: 3 }, waits }),
    vcpuRow({ pid: 7, vm: second, id: 0, statistics: { exits: 4 }, waits }),
  ];
  const kernel = source(() => reader(...rows));
  kernel.prepare();
  const found = kernel.query([vm(7)]).statistics.get('7:1');
  assert.equal(found?.vm.get('pages_4k'), 3);
  assert.equal(statisticOf(found?.vcpus, 0, 'exits'), 7);
  assert.equal(found?.histograms.get('halt_wait_hist')?.[1], 10);
});

test('a load that fails is missing and no error, and a change of the settings tries it again', () => {
  let loads = 0;
  const kernel = source(() => {
    loads++;
    throw new SourceError('absent', 'libbpf.so.1', 'not installed');
  });
  kernel.prepare();
  assert.equal(kernel.isWanted, true);
  const { problems, missing, queried, objects } = kernel.query([vm(7)]);
  assert.deepEqual([problems, missing.map(({ path }) => path), queried.size], [[], ['libbpf.so.1'], 0]);
  assert.deepEqual(Object.fromEntries(objects), { 'kvm-module': false, kvm: false });
  kernel.configure(OFF);
  kernel.prepare();
  assert.equal(kernel.isWanted, false);
  assert.equal(kernel.query([vm(7)]).objects.size, 0);
  kernel.configure(AUTO);
  kernel.prepare();
  assert.equal(loads, 2);
});

test('rows that are damaged or an iterator that fails are a problem of this scrape only', () => {
  let next: () => Buffer = () => Buffer.from('damaged rows');
  const kernel = source(() => ({ read: () => next(), close: () => undefined }));
  kernel.prepare();
  assert.deepEqual(
    kernel.query([vm(7)]).problems.map(({ kind }) => kind),
    ['malformed'],
  );
  next = () => {
    throw new SourceError('failed', 'BPF iterator kvm', 'EAGAIN');
  };
  assert.equal(kernel.query([vm(7)]).problems.length, 1);
  next = () => vmRow(7);
  assert.equal(kernel.query([vm(7)]).statistics.size, 1);
});

test('off closes the reader', () => {
  let closed = 0;
  const kernel = source(() => ({ read: () => vmRow(7), close: () => void closed++ }));
  kernel.prepare();
  kernel.configure(OFF);
  kernel.prepare();
  assert.deepEqual([closed, kernel.query([vm(7)]).statistics.size, kernel.isWanted], [1, 0, false]);
});

test('a copy of a host without rows wants none', () => {
  const unused = () => {
    throw new Error('must not be called');
  };
  const kernel = new KernelStatistics(capturedHost(), AUTO, () => undefined, unused);
  kernel.prepare();
  assert.equal(kernel.isWanted, false);
});
