import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseQemuCommandLine } from '../../probes/qemu-command-line.ts';
import { parseQemuConfig, readQemuConfig } from '../../probes/qemu-config.ts';
import { parseQemuDevices } from '../../probes/qemu-devices.ts';
import { caseText } from '../../testing/cases.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

const LXD = caseText('lxd-readconfig', 'qemu.conf');

test("LXD's file says machine, monitor and controller", () => {
  const options = parseQemuConfig(LXD);
  const { machine, accels, monitors } = parseQemuCommandLine(options);
  assert.deepEqual(
    [machine, accels, monitors],
    ['q35', ['kvm'], ['/var/snap/lxd/common/lxd/logs/v1/qemu.monitor']],
  );
  assert.deepEqual(
    parseQemuDevices(options)?.storage.map(({ id, kind }) => [id, kind]),
    [['qemu_scsi', 'virtio-scsi']],
  );
});

test('objects, drives and devices of a file are those of the command line', () => {
  const text = [
    '[object "io0"]\nqom-type = "iothread"\npoll-max-ns = "0"',
    '[drive "d0"]\nfile = "/dev/vg/a,b"\nif = "none"\ncache = "none"\naio = "native"',
    '[device]\n  driver = "virtio-blk-pci"\n  drive = "d0"\n  iothread = "io0"\n  num-queues = "4"',
  ].join('\n\n');
  const devices = parseQemuDevices(parseQemuConfig(text));
  assert.deepEqual(devices?.iothreads, [{ id: 'io0', pollMaxNs: 0 }]);
  const [disk] = devices?.storage ?? [];
  assert.deepEqual([disk?.queues, disk?.iothread], [4, 'io0']);
  assert.deepEqual(disk?.drives, [{ node: 'd0', direct: true, aio: 'native' }]);
});

test('comments, empty lines and invalid lines are ignored', () => {
  const [machine, ...none] = parseQemuConfig(
    '# [device]\nstray = "x"\n\n[machine]\n#type = "pc"\n type = "q35"\nx\n',
  );
  assert.deepEqual([...(machine?.options ?? [])], [['type', 'q35']]);
  assert.deepEqual(none, []);
  assert.deepEqual(parseQemuConfig('[a\n]b\nkey = value\n'), []);
});

test('any id and value that QEMU accepts is read back', () => {
  const text = fc.stringMatching(/^[^"\n\r\0]{1,40}$/).map((each) => Buffer.from(each).toString('latin1'));
  fc.assert(
    fc.property(text, text, (id, value) => {
      const [device] = parseQemuConfig(`[device "${id}"]\nserial = "${value}"\n`);
      const utf8 = (each: string): string => Buffer.from(each, 'latin1').toString();
      assert.equal(device?.options.get('id'), utf8(id));
      assert.equal(device?.options.get('serial'), utf8(value));
    }),
  );
});

testRobustness('parseQemuConfig', parseQemuConfig, [LXD]);

test('the file is resolved in the root of the process, also through links', async (context) => {
  const { host, write, link } = hostTree(context);
  write('proc/9/root/run/v1/qemu.conf', LXD);
  link('proc/9/root/var/run', '/run');
  link('proc/9/root/run/current', 'v1/../v1');
  for (const path of [
    '/run/v1/qemu.conf',
    '/var/run/v1/qemu.conf',
    '/run/current/qemu.conf',
    '/../../run/v1/qemu.conf',
  ])
    assert.equal((await readQemuConfig(host, 9, path, 5000)).length, 6, path);
});

test('links cannot leave the root, and only a regular file is read', async (context) => {
  const { host, folder, write, link } = hostTree(context);
  write('secret', '[machine]\ntype = "secret"\n');
  write('proc/9/root/etc/file', '[machine]\n');
  link('proc/9/root/etc/absolute', `${folder}/secret`);
  link('proc/9/root/etc/relative', '../../../../../secret');
  symlinkSync(folder, `${folder}/proc/9/root/etc/folder`);
  link('proc/9/root/etc/loop', 'loop');
  const read = (path: string) => readQemuConfig(host, 9, path, 5000);
  for (const path of ['/etc/absolute', '/etc/relative', '/etc/folder/secret', '/etc/file/x', '/etc/none'])
    await assert.rejects(read(path), { name: 'SourceError', kind: 'absent' }, path);
  await assert.rejects(read('/etc/loop'), { kind: 'failed', reason: 'too many links' });
  await assert.rejects(read('/etc'), { kind: 'failed', reason: 'is no regular file' });
  await assert.rejects(read(`/${'x/'.repeat(2000)}`), { name: 'SourceError' });
  write('proc/9/root/etc/large', '#'.repeat(1024 * 1024 + 1));
  await assert.rejects(read('/etc/large'), { kind: 'too_large' });
});

test('the root of a process in a copy of a host may be a link, which stays in the copy', async (context) => {
  const { host, write, link } = hostTree(context);
  link('proc/9/root', '/');
  write('run/v1/qemu.conf', LXD);
  assert.equal((await readQemuConfig(host, 9, '/run/v1/qemu.conf', 5000)).length, 6);
});
