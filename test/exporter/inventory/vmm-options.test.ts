import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsOf } from '../../../exporter/inventory/vmm-options.ts';
import type { Vmm } from '../../../exporter/model/vmm.ts';

function nameOf(vmm: Exclude<Vmm, 'qemu'>, ...options: string[]): string | undefined {
  const { name: given, path } = claimsOf(vmm, ['vmm', ...options]);
  return given ?? path;
}

test('each VMM has its own options for the name', () => {
  assert.equal(nameOf('firecracker', '--api-sock', '/run/fc.sock', '--id', 'web'), 'web');
  assert.equal(nameOf('firecracker', '--id=web', '--', '--id=guest'), 'web');
  assert.equal(nameOf('crosvm', 'run', '--name=arc', '-s', '/run/c.sock'), 'arc');
  assert.equal(nameOf('kvmtool', 'run', '-n', 'mode=tap', '--name', 'k'), 'k');
  assert.equal(nameOf('kvmtool', 'run', '-n', 'mode=tap'), undefined);
  assert.equal(nameOf('other', '--name', 'x'), 'x');
  assert.equal(nameOf('other', '-name', 'stratovirt'), 'stratovirt');
  assert.equal(nameOf('other', '--comment', 'web', '--startvm', 'b9a5c9f7'), 'web');
  assert.equal(nameOf('other', '--', '--name', 'x'), undefined);
});

test('without a name, the path of the socket or file is used', () => {
  assert.equal(nameOf('cloud-hypervisor', '--api-socket', '/run/a.sock'), '/run/a.sock');
  assert.equal(nameOf('cloud-hypervisor', '--api-socket=path=/run/a.sock'), '/run/a.sock');
  assert.equal(nameOf('cloud-hypervisor', '--api-socket', 'fd=3'), undefined);
  assert.equal(nameOf('firecracker', '--config-file', '/etc/vm.json'), '/etc/vm.json');
  assert.equal(nameOf('crosvm', 'run', '-s', '/run/c.sock'), '/run/c.sock');
  assert.equal(nameOf('firecracker', '--id', ''), undefined);
});

test('without -name StratoVirt is called by the socket of its API', () => {
  const qmp = ['-qmp', 'unix:/run/sv-1.sock,server,nowait'];
  assert.equal(nameOf('other', '-machine', 'microvm', ...qmp), '/run/sv-1.sock');
  assert.equal(nameOf('other', ...qmp, '-name', 'web'), 'web');
});

test("gVisor's sandbox is called by the id of its container", () => {
  const options = ['--root=/var/run/runsc', '--platform=kvm', 'boot', '--bundle=/run/b', '--stdio-fds=9'];
  assert.equal(claimsOf('other', ['runsc-sandbox', ...options, 'hello']).name, 'hello');
  assert.equal(claimsOf('other', ['runsc-sandbox']).name, undefined);
  assert.equal(claimsOf('other', ['runsc-gofer', ...options, 'hello']).name, undefined);
});

test('a VM of krunvm has the name with which it is started', () => {
  const name = (...argv: string[]) => claimsOf('other', argv).name;
  assert.equal(name('krunvm', 'start', 'web'), 'web');
  assert.equal(
    name('/usr/bin/krunvm', '-v', 'start', '--cpus', '2', '--mem=512', 'web', '/bin/sh', '--', '-c'),
    'web',
  );
  assert.equal(name('krunvm', 'start', '--env', 'A=b', 'web', 'start', 'other'), 'web');
  assert.equal(name('krunvm', 'start'), undefined);
  assert.equal(
    name('krunvm', 'create', 'fedora', '--name', 'web'),
    'web',
    'no VM runs, and no name is guessed',
  );
  assert.equal(name('other', 'start', 'web'), undefined);
});

test("Cloud Hypervisor's disks are identified by --disk alone, which takes several", () => {
  const { diskIds, uuid } = claimsOf('cloud-hypervisor', [
    'ch',
    '--disk',
    'path=/a,id=root',
    'path=/b',
    'id=data,path=/c',
    '--fs',
    'tag=x,id=share',
    '--pmem',
    'file=/p,id=pm',
    '--disk=path=/d,id=late',
    '--net',
    'id=n',
    '--platform',
    'num_pci_segments=1,uuid=11111111-2222-3333-4444-555555555555',
  ]);
  assert.deepEqual(diskIds, ['root', 'data', 'late']);
  assert.equal(uuid, '11111111-2222-3333-4444-555555555555');
});

test('settings of Cloud Hypervisor that hide I/O, in each spelling of a boolean', () => {
  const of = (...options: string[]) =>
    claimsOf('cloud-hypervisor', ['ch', '--kernel', '/vmlinux', ...options]);
  const signs = (...options: string[]) => [...(of(...options).ioPath?.signs ?? [])];
  for (const on of ['on', 'true', 'On', 'TRUE']) {
    assert.deepEqual(signs('--disk', `vhost_user=${on},socket=/spdk.sock`), ['vhost_user'], on);
    assert.equal(of('--platform', `tdx=${on}`).confidential, 'tdx', on);
  }
  assert.deepEqual(signs('--disk', 'path=/a,vhost_user=off', 'path=/b,vhost_user=false'), []);
  assert.equal(of('--platform', 'tdx=false').confidential, undefined);
  assert.deepEqual(signs('--disk', 'path=/a', '--user-device', 'socket=/nvme/cntrl'), ['vfio_user']);
  const igvm = ['ch', '--igvm', '/guest.igvm', '--platform', 'sev_snp=on', '--disk', 'path=/a'];
  assert.deepEqual(claimsOf('cloud-hypervisor', igvm).ioPath?.signs, new Set());
  assert.equal(claimsOf('cloud-hypervisor', ['ch', '--api-socket', '/run/ch.sock']).ioPath, undefined);
});
