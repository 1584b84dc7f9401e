import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePciClass, readIommuGroup, readVfioDevice } from '../../probes/sys-iommu-groups.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

test('the devices of a group with their classes, as far as they have one', (context) => {
  const tree = hostTree(context);
  tree.write('sys/kernel/iommu_groups/12/devices/0000:01:00.0/class', '0x010802\n');
  tree.write('sys/kernel/iommu_groups/12/devices/9b1d8a4c-0000-0000-0000-000000000000/uevent', '');
  assert.deepEqual(readIommuGroup(tree.host, '12'), [
    { address: '0000:01:00.0', pciClass: 0x010802 },
    { address: '9b1d8a4c-0000-0000-0000-000000000000', pciClass: undefined },
  ]);
  assert.deepEqual(readIommuGroup(tree.host, '13'), []);
});

test('a mediated device has the class of its parent; an adjunct processor is no disk', (context) => {
  const tree = hostTree(context);
  const [vgpu, ap] = ['9b1d8a4c-0000-0000-0000-000000000001', '9b1d8a4c-0000-0000-0000-000000000002'];
  tree.write('sys/devices/pci0000:00/0000:00:02.0/class', '0x030000\n');
  tree.write(`sys/devices/pci0000:00/0000:00:02.0/${vgpu}/mdev_type/device_api`, 'vfio-pci\n');
  tree.write(`sys/devices/vfio_ap/matrix/${ap}/mdev_type/device_api`, 'vfio-ap\n');
  const folder = 'sys/kernel/iommu_groups/12/devices';
  tree.link(`${folder}/${vgpu}`, `../../../../devices/pci0000:00/0000:00:02.0/${vgpu}`);
  tree.link(`${folder}/${ap}`, `../../../../devices/vfio_ap/matrix/${ap}`);
  assert.deepEqual(readIommuGroup(tree.host, '12'), [
    { address: vgpu, pciClass: 0x030000 },
    { address: ap, pciClass: 0x100000 },
  ]);
  tree.link('sys/class/vfio-dev/vfio0/device', `../../../devices/pci0000:00/0000:00:02.0/${vgpu}`);
  assert.deepEqual(readVfioDevice(tree.host, 'vfio0'), { address: vgpu, pciClass: 0x030000 });
});

test('a device of its own, as with iommufd', (context) => {
  const tree = hostTree(context);
  tree.write('sys/devices/pci0000:00/0000:02:00.0/class', '0x020000\n');
  tree.link('sys/class/vfio-dev/vfio0/device', '../../../devices/pci0000:00/0000:02:00.0');
  assert.deepEqual(readVfioDevice(tree.host, 'vfio0'), { address: '0000:02:00.0', pciClass: 0x020000 });
  assert.equal(readVfioDevice(tree.host, 'vfio1'), undefined);
});

testRobustness('parsePciClass', parsePciClass, ['0x010802\n']);
