import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePciClass, readIommuGroup, readVfioDevice } from '../../probes/sys-iommu-groups.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

test('the devices of a group with their classes; a mediated device has none', (context) => {
  const tree = hostTree(context);
  tree.write('sys/kernel/iommu_groups/12/devices/0000:01:00.0/class', '0x010802\n');
  tree.write('sys/kernel/iommu_groups/12/devices/9b1d8a4c-0000-0000-0000-000000000000/uevent', '');
  assert.deepEqual(readIommuGroup(tree.host, '12'), [
    { address: '0000:01:00.0', pciClass: 0x010802 },
    { address: '9b1d8a4c-0000-0000-0000-000000000000', pciClass: undefined },
  ]);
  assert.deepEqual(readIommuGroup(tree.host, '13'), []);
});

test('a device of its own, as with iommufd', (context) => {
  const tree = hostTree(context);
  tree.write('sys/devices/pci0000:00/0000:02:00.0/class', '0x020000\n');
  tree.link('sys/class/vfio-dev/vfio0/device', '../../../devices/pci0000:00/0000:02:00.0');
  assert.deepEqual(readVfioDevice(tree.host, 'vfio0'), { address: '0000:02:00.0', pciClass: 0x020000 });
  assert.equal(readVfioDevice(tree.host, 'vfio1'), undefined);
});

testRobustness('parsePciClass', parsePciClass, ['0x010802\n']);
