import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeOf, queuesBeside, writeTo } from '../../../exporter/model/notify-addresses.ts';

const at = (address: number) => ({ address, isPort: false, queues: 1 });
const DISK = [0xfe00_3000, 0xfe00_3004, 0xfe00_3008].map(at);
const NET = [0xfe00_7000, 0xfe00_7004].map(at);
const PORT = { address: 0xc010, isPort: true, queues: 4 };
const ALL = [...DISK, ...NET, PORT];

test('a device has the queues in the page of its kicks, used or not', () => {
  assert.equal(queuesBeside([{ event: 'kvm_fast_mmio', address: 0xfe00_3004 }], ALL), 3);
  assert.equal(queuesBeside([{ event: 'kvm_mmio', address: 0xfe00_7000 }], ALL), 2);
});

test('the queues of a legacy device share a port', () => {
  assert.equal(queuesBeside([{ event: 'kvm_pio', address: 0xc010 }], ALL), 4);
  assert.equal(queuesBeside([{ event: 'kvm_pio', address: 0xc030 }], ALL), undefined);
});

test('where the kernel has no address, as with ioeventfd=off, the number is unknown', () => {
  const kicks = [{ event: 'kvm_fast_mmio', address: 0xfe00_9000 } as const];
  assert.equal(queuesBeside(kicks, ALL), undefined);
  assert.equal(queuesBeside(kicks, undefined), undefined);
  assert.equal(queuesBeside([], ALL), undefined);
});

test('a port and an address with one number are two places', () => {
  assert.equal(queuesBeside([{ event: 'kvm_fast_mmio', address: 0xc010 }], [PORT]), undefined);
  assert.equal(placeOf(writeTo(PORT)), 0xc010);
  assert.equal(placeOf(writeTo(at(0xfe00_3004))), 0xfe00_3000);
});
