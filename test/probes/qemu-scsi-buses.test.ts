import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyval } from '../../probes/qemu-options.ts';
import { ScsiBuses } from '../../probes/qemu-scsi-buses.ts';

/** Drives of the disks on each controller, by the controller's position. */
function disks(...devices: string[]): { on: string[][]; areCertain: boolean } {
  const parsed = devices.map((device) => keyval(device, 'driver'));
  const buses = new ScsiBuses(parsed);
  const on = parsed
    .filter((device) => !device.get('driver')?.startsWith('scsi-'))
    .map((controller) => buses.disksOn(controller).map((disk) => disk.get('drive') ?? ''));
  return { on, areCertain: buses.areCertain };
}

test('each kind of controller has a bus, other devices have none', () => {
  const controllers = [
    'virtio-scsi-pci',
    'virtio-scsi-ccw',
    'vhost-user-scsi-pci',
    'vhost-scsi-pci',
    'lsi53c895a',
    'megasas-gen2',
    'mptsas1068',
    'am53c974',
    'dc390',
    'pvscsi',
    'spapr-vscsi',
    'usb-storage',
    'usb-uas',
    'usb-bot',
  ];
  for (const controller of controllers)
    assert.deepEqual(disks(controller, 'scsi-hd,drive=a').on, [['a']], controller);
  for (const other of ['virtio-blk-pci', 'usb-kbd', 'xvirtio-scsi-pci', 'ahci'])
    assert.deepEqual(disks(other, 'scsi-hd,drive=a').on, [[]], other);
});

test('disks are hard disks and passed-through devices, not CD-ROMs', () => {
  const devices = [
    'scsi-hd,drive=a',
    'scsi-block,drive=b',
    'scsi-generic,drive=c',
    'scsi-cd,drive=d',
    'scsi-hdx,drive=e',
    'scsi-disk,drive=f',
  ];
  assert.deepEqual(disks('virtio-scsi-pci', ...devices).on, [['a', 'b', 'c', 'f']]);
});

test('a disk with a bus is on it, one without is on the last controller before it', () => {
  const { on, areCertain } = disks(
    ...['virtio-scsi-pci,id=s0', 'virtio-scsi-pci', 'lsi,id='],
    ...['scsi-hd,drive=a,bus=s0.0', 'scsi-hd,drive=b,bus=scsi.0', 'scsi-hd,drive=c,bus=scsi.1'],
    ...['scsi-hd,drive=d', 'scsi-hd,drive=e,bus=none.0', 'scsi-hd,drive=f,bus=s0.0'],
  );
  assert.deepEqual([on, areCertain], [[['a', 'f'], ['b'], ['c', 'd']], true]); // biome-ignore format: lists
  assert.deepEqual(disks('scsi-hd,drive=a', 'virtio-scsi-pci').on, [[]], 'created before the controller');
});

test('with bridges the controller of a disk without a bus is uncertain, if there are several', () => {
  const onBridge = 'virtio-scsi-pci,bus=pci.1';
  assert.equal(disks(onBridge, 'virtio-scsi-pci', 'scsi-hd').areCertain, false);
  assert.equal(disks('virtio-scsi-pci', onBridge, 'scsi-hd').areCertain, false);
  assert.equal(disks(onBridge, 'scsi-hd').areCertain, true);
  assert.equal(disks('virtio-scsi-pci', 'virtio-scsi-pci', 'scsi-hd').areCertain, true);
  assert.equal(disks(onBridge, 'virtio-scsi-pci,id=s', 'scsi-hd,bus=s.0').areCertain, true);
  assert.equal(disks('scsi-hd', onBridge, onBridge).areCertain, true);
});
