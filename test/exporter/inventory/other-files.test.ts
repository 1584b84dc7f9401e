import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Inventory } from '../../../exporter/inventory/inventory.ts';
import { otherFilesNow } from '../../../exporter/inventory/other-files.ts';
import type { MonitorHints } from '../../../exporter/model/vm.ts';
import { SourceError } from '../../../probes/errors.ts';
import type { Host } from '../../../probes/host.ts';
import type { FilesByUse } from '../../../probes/qemu-files.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { KVM_VM, qemuProcess } from '../../../testing/qemu-process.ts';

const UUID = '925e2a38-6022-4105-ba3a-3ea7229ea3b9';

test("files from libvirt and the monitor are added to those of QEMU's options", (context) => {
  const { host } = hostTree(context);
  const now = (...known: (FilesByUse | undefined)[]) => {
    const { files, folders } = otherFilesNow(
      host,
      { files: new Set(['/a.iso']), disks: new Set(), folders: ['/ram'] },
      known,
    );
    assert.deepEqual(folders, ['/ram']);
    return [...files];
  };
  assert.deepEqual(now(undefined, undefined), ['/a.iso']);
  assert.deepEqual(now({ disks: [], others: ['/vars.fd'] }, { disks: [], others: ['/b.iso'] }), [
    '/a.iso',
    '/vars.fd',
    '/b.iso',
  ]);
  const both = { disks: ['/a.iso', '/vars.fd'], others: [] };
  assert.deepEqual(now({ disks: [], others: ['/vars.fd', '/c.iso'] }, both), ['/c.iso']);
});

test('a link in /dev also counts as the node that it leads to', (context) => {
  const { host, link } = hostTree(context);
  link('dev/pve/vm-100-vars', '../dm-6');
  const { files } = otherFilesNow(
    host,
    { files: new Set(['/dev/pve/vm-100-vars', '/dev/sr0']), disks: new Set(), folders: [] },
    [],
  );
  assert.deepEqual([...files], ['/dev/pve/vm-100-vars', '/dev/dm-6', '/dev/sr0']);
});

/** A VM with its image on sda, and with an ISO and firmware variables on sdb. */
function withIso(context: TestContext): { tree: HostTree; devices(inventory: Inventory): string[] } {
  const tree = hostTree(context);
  tree.disk('sda', '8:0');
  tree.disk('sdb', '8:16');
  const mounts = '21 1 8:0 / / rw - ext4 /dev/sda rw\n22 21 8:16 / /iso rw - ext4 /dev/sdb rw\n';
  const image = { target: '/images/web.raw', flags: '0100002', mount: 21 };
  const iso = { target: '/iso/b.iso', flags: '0100000', mount: 22 };
  const argv = ['qemu-system-x86_64', '-name', 'guest=web', '-uuid', UUID];
  tree.process(qemuProcess(10, 'web', { argv, fds: { 9: KVM_VM, 11: image, 12: iso } }));
  for (const pid of [1, 10]) tree.write(`proc/${pid}/mountinfo`, mounts);
  return {
    tree,
    devices: (inventory) => inventory.vms[0]?.blockDevices.map(({ device }) => device) ?? [],
  };
}

function hintsWith(
  others: readonly string[],
  iothreads: MonitorHints['iothreads'] = new Map(),
): MonitorHints {
  return {
    vcpus: new Map(),
    iothreads,
    files: { disks: ['/images/web.raw'], others },
    signs: new Set(),
  };
}

test('an ISO that the monitor reports is no disk from the next pass on, and one that is ejected is forgotten', async (context) => {
  const { tree, devices } = withIso(context);
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda', 'sdb']);
  const [vm] = inventory.vms;
  inventory.hint(vm?.key ?? '', hintsWith(['/iso/b.iso']));
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda']);
  inventory.hint(vm?.key ?? '', hintsWith([]));
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda', 'sdb']);
});

test("an ISO that only libvirt's state names is never a disk", async (context) => {
  const { tree, devices } = withIso(context);
  const domain = (file: string) =>
    `<domstatus state='running' reason='booted' pid='10'><domain type='kvm' id='1'><name>web</name><uuid>${UUID}</uuid><devices><disk type='file' device='cdrom'><source file='${file}'/></disk></devices></domain></domstatus>`;
  tree.write('run/libvirt/qemu/web.xml', domain('/iso/b.iso'));
  const inventory = new Inventory(tree.host);
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda']);
});

test('a hint that arrives while disks are read is kept', async (context) => {
  const { tree, devices } = withIso(context);
  const hints = hintsWith(['/iso/b.iso'], new Map([[10, 'io0']]));
  let key = '';
  const host: Host = {
    ...tree.host,
    slowText: (...read) => {
      inventory.hint(key, hints);
      return tree.host.slowText(...read);
    },
  };
  const inventory = new Inventory(host);
  await inventory.refresh(true);
  key = inventory.vms[0]?.key ?? '';
  for (let pass = 0; pass < 7; pass++) await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda']);
  assert.deepEqual([...(inventory.vms[0]?.iothreadThreads ?? [])], [[10, 'io0']]);
});

test('mounts that cannot be read in time are read again in the next pass, and no disk is dropped', async (context) => {
  const { tree, devices } = withIso(context);
  let isSlow = true;
  const host: Host = {
    ...tree.host,
    slowText: (path, cap, timeoutMs) =>
      isSlow && path.endsWith('/mountinfo')
        ? Promise.reject(new SourceError('timeout', path, 'no end in 500 ms'))
        : tree.host.slowText(path, cap, timeoutMs),
  };
  const inventory = new Inventory(host);
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), []);
  isSlow = false;
  await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda', 'sdb']);
  isSlow = true;
  for (let pass = 0; pass < 12; pass++) await inventory.refresh(true);
  assert.deepEqual(devices(inventory), ['sda', 'sdb'], 'unknown is not gone');
});
