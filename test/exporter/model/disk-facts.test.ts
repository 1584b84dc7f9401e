import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskFactsOf } from '../../../exporter/model/disk-facts.ts';
import type { LibvirtDisk } from '../../../probes/libvirt-domain.ts';
import type { QemuDevices, QemuStorage } from '../../../probes/qemu-devices.ts';

const NOTHING = { statistics: undefined, devices: undefined, libvirtDisks: undefined };

function ofStorage(storage: Partial<QemuStorage>): unknown {
  const whole = { kind: 'blk', queues: 4, iothread: undefined, mapping: [], drives: [{}], ...storage };
  const devices = { storage: [whole] } as unknown as QemuDevices;
  return diskFactsOf({ ...NOTHING, devices })[1];
}

function ofLibvirt(disk: Partial<LibvirtDisk>): unknown {
  const whole = { target: 'vda', iothreads: [], ...disk } as unknown as LibvirtDisk;
  return diskFactsOf({ ...NOTHING, libvirtDisks: [whole] })[2];
}

test('a missing source has no disks', () => {
  assert.deepEqual(diskFactsOf(NOTHING), [[], [], []]);
});

test("of the monitor's disks only virtio disks count, which have queues or IOThreads", () => {
  const disks = [
    { queues: 2, iothreads: ['io0'] },
    { queues: undefined, iothreads: [] },
    { queues: 1, iothreads: undefined },
    { queues: undefined, iothreads: undefined },
  ];
  const statistics = { disks } as unknown as Parameters<typeof diskFactsOf>[0]['statistics'];
  assert.deepEqual(diskFactsOf({ ...NOTHING, statistics })[0], disks.slice(0, 3));
});

test('a device has its queues and IOThread, and each of its drives is a disk', () => {
  const drives = [{ direct: true, aio: 'native' }, { direct: false }, {}] as unknown as QemuStorage['drives'];
  const facts = { queues: 4, iothreads: ['io0'] };
  assert.deepEqual(ofStorage({ iothread: 'io0', drives }), [
    { ...facts, direct: true, aio: 'native' },
    { ...facts, direct: false, aio: 'threads' },
    { ...facts, direct: undefined, aio: undefined },
  ]);
});

test('a mapping of queues to IOThreads replaces the one IOThread; without either it is the main loop', () => {
  const iothreads = (storage: Partial<QemuStorage>): unknown =>
    (ofStorage(storage) as { iothreads: unknown }[])[0]?.iothreads;
  const mapping = [{ iothread: 'a' }, { iothread: 'b' }] as unknown as QemuStorage['mapping'];
  assert.deepEqual(iothreads({ iothread: 'io0', mapping }), ['a', 'b']);
  assert.deepEqual(iothreads({ mapping }), ['a', 'b']);
  assert.deepEqual(iothreads({}), []);
});

test('of a vhost-user device only the queues are known', () => {
  assert.deepEqual(ofStorage({ kind: 'vhost', queues: 3 }), [{ queues: 3 }]);
});

test("libvirt's disk has its IOThreads under QEMU's names; none is unknown, as a controller may have one", () => {
  const facts = { queues: undefined, direct: undefined, aio: undefined };
  assert.deepEqual(ofLibvirt({}), [{ ...facts, iothreads: undefined }]);
  assert.deepEqual(ofLibvirt({ iothread: 2, queues: 4, io: 'native' }), [
    { queues: 4, iothreads: ['iothread2'], direct: undefined, aio: 'native' },
  ]);
  const iothreads = [1, 3].map((id) => ({ id, queues: [] }));
  assert.deepEqual(ofLibvirt({ iothread: 2, iothreads }), [
    { ...facts, iothreads: ['iothread1', 'iothread3'] },
  ]);
});

test("libvirt's cache modes none and directsync bypass the page cache, the others do not", () => {
  const direct = (cache: string | undefined): unknown =>
    (ofLibvirt({ cache }) as { direct: unknown }[])[0]?.direct;
  assert.deepEqual(['none', 'directsync', 'writeback', 'unsafe', undefined].map(direct), [true, true, false, false, undefined]); // biome-ignore format: short
});
