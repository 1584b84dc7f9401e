import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VmStatistics } from '../../../../exporter/model/vm-statistics.ts';
import type { Facts } from '../../../../exporter/sources/qmp/facts.ts';
import { vmStatistics } from '../../../../exporter/sources/qmp/statistics.ts';
import { parseBlockstats } from '../../../../probes/qmp-blockstats.ts';
import type { QmpDiskQueues } from '../../../../probes/qmp-qom.ts';

const NONE = { values: new Map(), histograms: new Map() };
const FACTS: Facts = {
  version: '9.0.0',
  types: new Map(),
  cpus: [],
  iothreads: [],
  blocks: [],
  queues: new Map(),
  pci: [],
  driversWithoutBlock: [],
  hasBalloon: false,
};

function withDisks(disks: readonly object[], facts: Partial<Facts> = {}): VmStatistics {
  const stats = parseBlockstats(disks.map((disk) => ({ stats: {}, ...disk })));
  return vmStatistics({ ...FACTS, ...facts }, NONE, [], stats, 'running');
}

function named(...disks: readonly object[]): string[] {
  return withDisks(disks).disks.map(({ name }) => name);
}

function iothreads(queues: QmpDiskQueues): readonly string[] | undefined {
  const disk = { 'node-name': 'd0', qdev: '/machine/peripheral/vda/virtio-backend' };
  return withDisks([disk], { queues: new Map([['/machine/peripheral/vda', queues]]) }).disks[0]?.iothreads;
}

test('a disk has the name of its device, else its drive, else its node', () => {
  const qdev = '/machine/peripheral/vda/virtio-backend';
  assert.deepEqual(
    named(
      { qdev, device: 'drive0', 'node-name': 'n' },
      { device: 'drive1', 'node-name': 'm' },
      { 'node-name': 'd2' },
    ),
    ['vda', 'drive1', 'd2'],
  );
  assert.deepEqual(named({ device: '', 'node-name': '' }), [], 'without media there is nothing to call');
});

test('colliding and hostile names become unique and valid as labels', () => {
  const hostile = [
    'a\nb',
    'a"b',
    '\u202eevil',
    'x'.repeat(4000),
    'x'.repeat(4001),
    'x'.repeat(10_000),
    ' ',
    'a\nb',
  ];
  const names = named(
    ...hostile
      .map((name) => ({ 'node-name': name, device: 'd' }))
      .map((disk) => ({ ...disk, device: disk['node-name'] })),
  );
  assert.equal(new Set(names).size, names.length);
  for (const name of names) {
    assert.ok(name.length > 0 && name.length <= 110, `${name.length}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.doesNotMatch(name, /[\u0000-\u001f\u202e]/);
  }
});

test('IOThreads of the same name are not one series twice', () => {
  const thread = {
    threadId: 1,
    pollMaxNs: 1,
    pollGrow: 0,
    pollShrink: 0,
    pollWeight: undefined,
    aioMaxBatch: 0,
  };
  const facts = {
    iothreads: [
      { id: 'io0', ...thread },
      { id: 'io0', ...thread },
    ],
  };
  assert.deepEqual(
    withDisks([], facts).iothreads.map(({ id }) => id),
    ['io0', 'io0~2'],
  );
});

test('a queue is served by the main loop, one IOThread, or several by a mapping', () => {
  assert.deepEqual(iothreads({ hasIothread: true, queues: 4, iothread: undefined, mapping: [] }), []);
  assert.deepEqual(iothreads({ hasIothread: true, queues: 4, iothread: 'io0', mapping: [] }), ['io0']);
  const dealt = [
    { iothread: 'io0', queues: [] },
    { iothread: 'io1', queues: [] },
  ];
  assert.deepEqual(iothreads({ hasIothread: true, queues: 3, iothread: undefined, mapping: dealt }), [
    'io0',
    'io1',
    'io0',
  ]);
  const explicit = [
    { iothread: 'io0', queues: [1] },
    { iothread: 'io1', queues: [0, 2] },
  ];
  assert.deepEqual(iothreads({ hasIothread: true, queues: 4, iothread: undefined, mapping: explicit }), [
    'io1',
    'io0',
    'io1',
    '',
  ]);
});

test('for a device that cannot have an IOThread, the main loop is not reported as one', () => {
  const none = { queues: undefined, hasIothread: false, iothread: undefined, mapping: [] };
  assert.equal(iothreads(none), undefined);
});

test('histograms of another type than log2 are ignored', () => {
  const cpus = [{ index: 0, qomPath: '/cpu', threadId: 1 }];
  const types: Facts['types'] = new Map([
    ['a_hist', 'log2-histogram'],
    ['b_hist', 'linear-histogram'],
    ['c_hist', 'unknown'],
  ]);
  const histograms = new Map(['a_hist', 'b_hist', 'c_hist', 'd_hist'].map((name) => [name, [1, 2]]));
  const vcpu = { qomPath: '/cpu', values: new Map(), histograms };
  const result = vmStatistics({ ...FACTS, cpus, types }, NONE, [vcpu], [], 'running');
  assert.deepEqual([...result.histograms.keys()], ['a_hist']);
});

test('a vCPU that query-cpus-fast does not list is ignored', () => {
  const vcpu = { qomPath: '/ghost', values: new Map([['exits', 1]]), histograms: new Map() };
  assert.equal(vmStatistics(FACTS, NONE, [vcpu], [], 'running').vcpus.indexes.length, 0);
});
