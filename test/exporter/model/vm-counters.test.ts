import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ThreadObservation } from '../../../exporter/model/vm.ts';
import { countersOf, cpuOf, NO_CPU } from '../../../exporter/model/vm-counters.ts';
import type { VmTrace } from '../../../exporter/model/vm-trace.ts';
import { parseBlockStat } from '../../../probes/sys-block-stat.ts';
import { inventoryVm } from '../../../testing/inventory-vm.ts';
import { NOTHING_TRACED } from '../../../testing/vm-trace.ts';

const vm = inventoryVm(12, { label: 'db', blockDevices: [{ device: 'nvme0n1', depth: 0 }] });
const nothing = {
  trace: undefined,
  ios: undefined,
  at: 3,
  isa: 'vmx',
  names: new Map(),
  cpu: NO_CPU,
  throttled: {},
  blocks: new Map(),
  visibility: new Map(),
} as const;

test('a missing count is unknown, not 0', () => {
  const { exits, path, io, devices, durations } = countersOf(vm, nothing);
  assert.deepEqual([exits, path, io, devices, durations], [undefined, undefined, undefined, [], undefined]);
});

test('exits, steps and I/Os of one moment; halts are no latency', () => {
  const HLT = 12;
  const counted: VmTrace = {
    ...NOTHING_TRACED,
    exits: [
      { thread: 'vcpu0', reason: HLT, count: 5 },
      { thread: 'vcpu0', reason: 1, count: 7 },
    ],
    kickTotal: 3,
    blockRequests: new Map([[1, 40]]),
    exitDurations: new Map([
      [HLT, [{ exponent: 30, count: 5, sumNs: 1 }]],
      [1, [{ exponent: 11, count: 7, sumNs: 1 }]],
    ]),
  };
  const blocks = new Map([['nvme0n1', parseBlockStat('9 0 0 0 1 0 0 0 4 0 0')]]);
  const found = countersOf(vm, { ...nothing, trace: counted, blocks });
  assert.deepEqual(found.exits, { total: 12, from: 'kvm_exit' });
  assert.deepEqual(found.reasons, { HLT: 5, EXTERNAL_INTERRUPT: 7 });
  assert.equal(found.path?.['kick'], 3);
  assert.deepEqual(found.io, { total: 40, from: 'requests' });
  assert.deepEqual(countersOf(vm, { ...nothing, trace: counted, ios: 8 }).io, { total: 8, from: 'disks' });
  assert.deepEqual([...(found.durations ?? [])], [[11, 7]]);
  assert.deepEqual(found.devices, [{ device: 'nvme0n1', inFlight: 4, completed: 10 }]);
});

test('CPU time by role, unless a thread has none', () => {
  const observation = (role: string, ticks: number | undefined): ThreadObservation =>
    ({
      thread: { role },
      task: {
        cpuTimes: () => (ticks === undefined ? undefined : { utime: ticks, stime: 100, guestTime: 0 }),
      },
    }) as unknown as ThreadObservation;
  const all = [observation('vcpu', 100), observation('vcpu', 300), observation('worker', 9999)];
  assert.deepEqual(cpuOf(all), { vcpus: 2, run: { vcpu: 6 } });
  assert.deepEqual(cpuOf([...all, observation('iothread', undefined)]), { vcpus: 2, run: {} });
});
