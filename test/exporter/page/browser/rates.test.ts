import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rateOf, ratesOf, sumOf, vmRates } from '../../../../exporter/page/browser/rates.ts';
import type { LiveVm } from '../../../../exporter/page/live.ts';
import { liveVm } from './samples.ts';

test('a rate needs two values of a counter that did not fall, and time', () => {
  assert.equal(rateOf(10, 30, 2), 10);
  assert.equal(rateOf(10, 10, 2), 0);
  assert.equal(rateOf(30, 10, 2), undefined);
  assert.equal(rateOf(undefined, 10, 2), undefined);
  assert.equal(rateOf(10, undefined, 2), undefined);
  assert.equal(rateOf(10, 30, 0), undefined);
  assert.equal(rateOf(10, 30, Number.NaN), undefined);
});

test('a new name has no rate yet; a removed name has none', () => {
  assert.deepEqual(ratesOf({ a: 1, b: 2 }, { a: 3, c: 4 }, 2), { a: 1, c: undefined });
  assert.deepEqual(ratesOf(undefined, { a: 3 }, 1), { a: undefined });
  assert.deepEqual(ratesOf({ a: 3 }, undefined, 1), {});
  assert.equal(
    sumOf({ a: undefined }, () => true),
    undefined,
  );
  assert.equal(
    sumOf({ a: 1, b: undefined, c: 2 }, () => true),
    3,
  );
});

const BEFORE: LiveVm = liveVm('web', {
  exits: { total: 1000, from: 'kvm_vm_exits_total' },
  io: { total: 100, from: 'disks' },
  path: { kick: 10, inject: 20, eoi: 30 },
  run: { vcpu: 1, iothread: 1, worker: 1, emulator: 1 },
  ioRoles: ['iothread', 'worker'],
  wait: { vcpu: 0.5, iothread: 0.5 },
});
const NOW: LiveVm = {
  ...BEFORE,
  exits: { total: 3000, from: 'kvm_vm_exits_total' },
  io: { total: 300, from: 'disks' },
  path: { kick: 110, inject: 70, eoi: 30 },
  run: { vcpu: 5, iothread: 2, worker: 1.5, emulator: 1.25 },
  wait: { vcpu: 0.75, iothread: 0.5 },
};

test('values of the table for a VM', () => {
  const rates = vmRates(BEFORE, NOW, 2);
  assert.equal(rates.exits, 1000);
  assert.equal(rates.iops, 100);
  assert.deepEqual(rates.perIo, { kick: 0.5, inject: 0.25, eoi: 0 });
  assert.deepEqual([rates.vcpuCores, rates.ioCores, rates.otherCores], [2, 0.75, 0.125]);
  assert.equal(rates.wait, 0.125);
});

test('without I/O there are no exits per I/O', () => {
  assert.deepEqual(vmRates(BEFORE, { ...NOW, io: BEFORE.io }, 2).perIo, {
    kick: undefined,
    inject: undefined,
    eoi: undefined,
  });
});

test('another VM with the same name, or another source, has no previous value', () => {
  const { exits, iops, vcpuCores, wait } = vmRates(BEFORE, { ...NOW, pid: '8' }, 2);
  assert.deepEqual([exits, iops, vcpuCores, wait], [undefined, undefined, undefined, undefined]);
  const other = vmRates(BEFORE, { ...NOW, io: { total: 1e9, from: 'kvm_vm_block_requests_total' } }, 2);
  assert.equal(other.iops, undefined);
  assert.equal(other.exits, 1000);
  assert.equal(vmRates(undefined, NOW, 2).exits, undefined);
});
