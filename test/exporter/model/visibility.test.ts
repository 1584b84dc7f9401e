import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HIDERS, type Hider, SIGHTS, type Sight } from '../../../exporter/metrics/visibility.ts';
import { visibilityOf } from '../../../exporter/model/visibility.ts';
import {
  hiddenInWords,
  seenInWords,
  unexaminedInWords,
} from '../../../exporter/model/visibility-in-words.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import type { LibvirtDisk } from '../../../probes/libvirt-domain.ts';
import type { QemuIoPath, QemuIoSign } from '../../../probes/qemu-io-path.ts';
import { inventoryVm } from '../../../testing/inventory-vm.ts';

type Facts = NonNullable<Parameters<typeof visibilityOf>[1]>;

const NOTHING = { vfio: [], vdpa: [], hasNvmeCharacterDevice: false, hasVhostScsi: false };
const NVME = { address: '0000:01:00.0', pciClass: 0x010802 };
const NIC = { address: '0000:02:00.0', pciClass: 0x020000 };
const KERNEL: Facts = { guestPolls: false, haltsInside: false };

function path(known: Partial<QemuIoPath> = {}): QemuIoPath {
  return { signs: new Set(), nvmeAddresses: [], vdpaWithoutDisk: [], hasVfioDevice: false, ...known };
}

/** `io: vhost_user`, for what is hidden. */
function hidden(vm: Partial<Vm>, kernel: Facts | undefined = KERNEL): string[] {
  return [...visibilityOf(inventoryVm(1, vm), kernel)]
    .filter(([, hiders]) => hiders.length > 0)
    .map(([what, hiders]) => `${what}: ${hiders.join(' ')}`);
}

test('of an ordinary VM all parts are visible, of an unexamined one none is known', () => {
  const all = visibilityOf(inventoryVm(1), KERNEL);
  assert.deepEqual(
    [...all],
    SIGHTS.map((what) => [what, []]),
  );
  assert.equal(
    visibilityOf(inventoryVm(1, { ioPath: undefined, passthrough: undefined }), undefined).size,
    0,
  );
  // Whether a guest polls before it halts, only KVM knows.
  assert.deepEqual([visibilityOf(inventoryVm(1), undefined).has('idle'), all.has('idle')], [false, true]);
  const unread = visibilityOf(inventoryVm(1, { passthrough: undefined }), KERNEL);
  assert.deepEqual([...unread.keys()], ['exits', 'idle']);
});

test('a device that is passed through, by its class', () => {
  const vfio = (...devices: (typeof NVME | { address: string; pciClass: undefined })[]) =>
    hidden({ passthrough: { ...NOTHING, vfio: devices } });
  const disk = ['io: vfio_disk', 'block: vfio_disk', 'kicks: vfio_disk', 'interrupts: vfio_disk'];
  assert.deepEqual(vfio(NVME), disk);
  assert.deepEqual(vfio(NIC), ['interrupts: vfio_other']);
  assert.deepEqual(vfio({ address: 'group 7', pciClass: undefined }), disk);
  assert.deepEqual(vfio(NVME, NIC).at(-1), 'interrupts: vfio_disk vfio_other');
  // Without its descriptors, the configuration shows that there is one.
  assert.deepEqual(hidden({ passthrough: undefined, ioPath: path({ hasVfioDevice: true }) }), disk);
});

test("an NVMe device of QEMU's own block driver is not the guest's", () => {
  const ioPath = path({ signs: new Set(['user_space_driver']), nvmeAddresses: ['0000:01:00.0'] });
  assert.deepEqual(hidden({ ioPath, passthrough: { ...NOTHING, vfio: [NVME] } }), [
    'block: user_space_driver',
  ]);
});

test("a disk of libvirt on the network, which may have been plugged in later, is not in the host's block layer", () => {
  const disk = (type: string | undefined) => ({ type, target: 'vdb' }) as LibvirtDisk;
  const of = (...types: (string | undefined)[]) => hidden({ libvirtDisks: types.map(disk) });
  assert.deepEqual(of('file', 'block', 'volume', 'constructor', undefined), []);
  assert.deepEqual(of('file', 'network'), ['block: user_space_driver']);
  assert.deepEqual(of('vhostuser'), ['io: vhost_user', 'block: vhost_user']);
});

test('vDPA, vhost-scsi and NVMe character devices, by their descriptors', () => {
  const vdpa = ['/dev/vhost-vdpa-0'];
  const ofDisk = ['io: vdpa_disk', 'block: vdpa_disk', 'kicks: vdpa_disk', 'interrupts: vdpa_disk'];
  assert.deepEqual(hidden({ passthrough: { ...NOTHING, vdpa } }), ofDisk);
  const net = path({ signs: new Set(['vdpa_net']), vdpaWithoutDisk: vdpa });
  assert.deepEqual(hidden({ ioPath: net, passthrough: { ...NOTHING, vdpa } }), ['interrupts: vdpa_net']);
  // libvirt passes the descriptor: the path on the command line is that of QEMU's set.
  const passed = path({ signs: new Set(['vdpa_net']), vdpaWithoutDisk: ['/dev/fdset/0'] });
  assert.deepEqual(hidden({ ioPath: passed, passthrough: { ...NOTHING, vdpa } }), ['interrupts: vdpa_net']);
  const two = { ...NOTHING, vdpa: [...vdpa, '/dev/vhost-vdpa-1'] };
  assert.equal(hidden({ ioPath: passed, passthrough: two })[0], 'io: vdpa_disk');
  assert.deepEqual(hidden({ passthrough: { ...NOTHING, hasVhostScsi: true } }), [
    'io: vhost_scsi',
    'block: vhost_scsi',
  ]);
  assert.deepEqual(hidden({ passthrough: { ...NOTHING, hasNvmeCharacterDevice: true } }), [
    'block: io_uring_passthrough',
  ]);
});

test('a confidential guest, by its configuration and by KVM', () => {
  assert.deepEqual(hidden({ confidential: 'tdx' }), ['kicks: tdx', 'exits: tdx']);
  assert.deepEqual(hidden({ confidential: 'sev' }), []);
  // Before Linux 6.8 KVM reports no type; after, it knows better than the configuration.
  assert.deepEqual(hidden({ confidential: 'confidential' }, { confidential: 'sev_snp' }), [
    'kicks: sev_snp',
    'exits: sev_snp',
  ]);
  assert.deepEqual(hidden({ ioPath: undefined }, { confidential: 'sev_es' }), [
    'kicks: sev_es',
    'exits: sev_es',
  ]);
});

test('a guest that halts without an exit, that polls, or that has no KVM', () => {
  assert.deepEqual(hidden({ ioPath: path({ signs: new Set(['cpu_pm']) }) }, undefined), ['idle: cpu_pm']);
  assert.deepEqual(hidden({}, { guestPolls: true }), ['idle: guest_haltpoll']);
  assert.deepEqual(hidden({}, { haltsInside: true }), ['idle: cpu_pm']);
  assert.deepEqual(
    hidden({ accel: 'tcg' }, undefined),
    ['kicks', 'queues', 'interrupts', 'exits', 'idle'].map((what) => `${what}: tcg`),
  );
});

test('queues with one address, by the configuration and by KVM', () => {
  assert.deepEqual(hidden({ ioPath: path({ signs: new Set(['legacy_virtio']) }) }), [
    'queues: legacy_virtio',
  ]);
  const notifyAddresses = [{ address: 0xfeb0_0050, isPort: false, queues: 4 }];
  assert.deepEqual(hidden({}, { ...KERNEL, notifyAddresses }), ['queues: virtio_mmio']);
  // A modern PCI device has a port too, which the guest's driver does not use.
  const both = [
    { address: 0xfe00_3000, isPort: false, queues: 1 },
    { address: 0xc010, isPort: true, queues: 4 },
  ];
  assert.deepEqual(hidden({}, { ...KERNEL, notifyAddresses: both }), []);
});

const signsArb = fc.uniqueArray(
  fc.constantFrom<QemuIoSign>(
    'vhost_user',
    'vhost_scsi',
    'vdpa_net',
    'user_space_driver',
    'virtio_mmio',
    'cpu_pm',
  ),
);

test('one more reason never makes anything visible, and each reason hides what the table says', () => {
  fc.assert(
    fc.property(signsArb, signsArb, fc.boolean(), (some, more, isRead) => {
      const passthrough = isRead ? NOTHING : undefined;
      const of = (signs: QemuIoSign[]) =>
        visibilityOf(inventoryVm(1, { ioPath: path({ signs: new Set(signs) }), passthrough }), KERNEL);
      const [before, after] = [of(some), of([...some, ...more])];
      for (const what of SIGHTS) {
        if (before.get(what)?.length !== 0) assert.notEqual(after.get(what)?.length, 0);
        for (const hider of after.get(what) ?? [])
          assert.ok((HIDERS[hider] as readonly Sight[]).includes(what));
      }
    }),
  );
});

test('in words: hidden parts with their reasons, visible parts, and unexamined parts', () => {
  const vm = inventoryVm(1, { ioPath: path({ signs: new Set(['vhost_user']) }) });
  const visibility = visibilityOf(vm, undefined);
  assert.deepEqual(hiddenInWords(visibility), [
    "requests of its disks and their duration, its requests in the host's block layer: another process serves its disk by vhost-user: count the I/Os there (SPDK: bdev_get_iostat)",
  ]);
  assert.equal(seenInWords(visibility), 'kicks, the queue of each kick, interrupts, reasons of exits');
  assert.equal(unexaminedInWords(visibility), 'idle vCPUs');
  const all = (Object.keys(HIDERS) as Hider[]).map((hider) => new Map([['io' as Sight, [hider]]]));
  for (const each of all) assert.equal(hiddenInWords(each).length, 1);
});
