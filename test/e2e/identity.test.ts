import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Inventory } from '../../exporter/inventory/inventory.ts';
import { liveHost } from '../../testing/captured.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hasKvm, runGuest } from '../../testing/qemu.ts';
import { has, hasTool } from '../../testing/tools.ts';

test('a real QEMU with a configuration file and long IOThread ids is fully identified', async (context) => {
  if (!hasTool(context, 'qemu-system-x86_64', 'qemu-system-x86')) return;
  if (!has(context, hasKvm(), '/dev/kvm is missing')) return;
  const folder = temporaryFolder(context);
  const config = join(folder, 'qemu.conf');
  const lines = ['[object "fromfile"]', 'qom-type = "iothread"', 'poll-max-ns = "0"', ''];
  lines.push('[device "scsi7"]', 'driver = "virtio-scsi-pci"', 'iothread = "fromfile"', '');
  writeFileSync(config, lines.join('\n'));
  const name = `kt-identity-${process.pid}`;
  const uuid = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
  const guest = runGuest(context, {
    name,
    extra: [
      ['-S', '-readconfig', config, '-smbios', `type=1,uuid=${uuid}`],
      ['-object', 'iothread,id=averyveryverylongid', '-object', 'iothread,id=thirteenchar1'],
    ].flat(),
  });
  const inventory = new Inventory(liveHost());
  await inventory.refresh(true);
  const vm = inventory.vms.find(({ pid }) => pid === guest.pid);
  assert.ok(vm);
  assert.deepEqual([vm.label, vm.uuid, vm.accel, vm.vmm], [name, uuid, 'kvm', 'qemu']);
  assert.deepEqual(
    vm.devices?.storage.map(({ id, iothread }) => [id, iothread]),
    [
      ['vda', 'io0'],
      ['scsi7', 'fromfile'],
    ],
  );
  const labels = inventory.observeThreads(vm).map(({ thread }) => thread.label);
  for (const id of ['io0', 'fromfile', 'averyveryverylongid', 'thirteenchar1'])
    assert.ok(labels.includes(`iothread:${id}`), `${id} is not among ${labels.join(', ')}`);
  assert.ok(!labels.includes('unknown'), labels.join(', '));
});
