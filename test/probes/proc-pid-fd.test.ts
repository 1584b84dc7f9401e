import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { utf8 } from '../../probes/host.ts';
import { readMountinfo } from '../../probes/proc-mountinfo.ts';
import {
  parseDescriptorInfo,
  readDescriptor,
  readDescriptorInfo,
  readDescriptors,
} from '../../probes/proc-pid-fd.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const DISK = captured('proc/244/fdinfo/13');

test('the descriptors that make a captured process a VM are found', () => {
  const descriptors = readDescriptors(capturedHost(), 244);
  const fdsOf = (target: string) => descriptors.filter((one) => one.target === target).map(({ fd }) => fd);
  assert.equal(descriptors.length, 33);
  assert.deepEqual(fdsOf('anon_inode:kvm-vm'), [16]);
  assert.deepEqual(fdsOf('anon_inode:kvm-vcpu:1'), [27]);
  assert.deepEqual(fdsOf('/dev/nvme0n1'), [13]);
  assert.deepEqual(
    descriptors.map(({ fd }) => fd),
    descriptors.map((_, fd) => fd),
  );
});

test('how a descriptor was opened, and on which mount, is read', () => {
  assert.deepEqual(parseDescriptorInfo(DISK), {
    mountId: 23,
    writeOnly: false,
    readOnly: false,
    pathOnly: false,
  });
  assert.deepEqual(readDescriptorInfo(capturedHost(), 244, 23), {
    mountId: 33,
    writeOnly: true,
    readOnly: false,
    pathOnly: false,
  });
  assert.deepEqual(readDescriptorInfo(capturedHost('toy-pio-hlt'), 281, 5), {
    mountId: 33,
    writeOnly: true,
    readOnly: false,
    pathOnly: false,
  });
});

test('the access mode is in the last octal digit, whatever other flags there are', () => {
  const writeOnly = (flags: string) =>
    parseDescriptorInfo(`pos:\t0\nflags:\t${flags}\nmnt_id:\t1\n`).writeOnly;
  assert.deepEqual(['0100000', '0100001', '0100002', '02104001', '010000000', '05', '0'].map(writeOnly), [
    false,
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});

test('read-only and O_PATH descriptors are recognized', () => {
  const info = (flags: string) => parseDescriptorInfo(`pos:\t0\nflags:\t${flags}\nmnt_id:\t1\n`);
  assert.deepEqual(
    ['0100000', '0100002', '0100001'].map((flags) => info(flags).readOnly),
    [true, false, false],
  );
  assert.deepEqual(
    ['012000000', '010000000', '02140002'].map((flags) => info(flags).pathOnly),
    [true, true, false],
  );
});

test('a kernel with fewer fields, or invalid ones, leaves the mount unknown', () => {
  const unknown = { mountId: undefined, writeOnly: false, readOnly: false, pathOnly: false };
  for (const text of [
    '',
    'pos:\t0\n',
    'mnt_id:\t-1\n',
    'mnt_id:\t\n',
    'x mnt_id:\t5\n',
    `mnt_id:\t${'9'.repeat(400)}\n`,
  ]) {
    assert.deepEqual(parseDescriptorInfo(text), unknown);
  }
});

test('a descriptor that is closed during the scan is left out, and so is a name that is no number', (context) => {
  const { host, link } = hostTree(context);
  link('proc/7/fd/3', '/dev/null');
  const names = ['9', '3', 'x'];
  assert.deepEqual(readDescriptors({ ...host, entries: () => names }, 7), [{ fd: 3, target: '/dev/null' }]);
});

test('a closed descriptor is undefined; an exited process is absent', () => {
  const host = liveHost();
  assert.equal(readDescriptor(host, process.pid, 1_000_000), undefined);
  assert.equal(readDescriptorInfo(host, process.pid, 1_000_000), undefined);
  assert.equal(readDescriptor(host, 4_194_305, 0), undefined);
  assert.throws(() => readDescriptors(host, 4_194_305), { name: 'SourceError', kind: 'absent' });
});

test('an open file of this process has its mode and an existing mount', async (context) => {
  const { folder } = hostTree(context);
  const path = join(folder, 'à (deleted) anon_inode:kvm-vm');
  writeFileSync(path, '');
  const fd = openSync(path, 'a');
  context.after(() => closeSync(fd));
  const host = liveHost();
  const target = readDescriptors(host, process.pid).find((one) => one.fd === fd)?.target ?? '';
  assert.equal(utf8(target), path);
  assert.equal(target.length, Buffer.byteLength(path), 'targets are latin1, one byte a character');
  const info = readDescriptorInfo(host, process.pid, fd);
  assert.equal(info?.writeOnly, true);
  const mounts = await readMountinfo(host, process.pid, 5000);
  assert.ok(mounts.some(({ id }) => id === info?.mountId));
});

test('a file name can hold any byte', (context) => {
  const { folder, host, process: fake } = hostTree(context);
  fake({ pid: 5, comm: 'x', fds: { 3: '/srv/\n"é' } });
  assert.equal(utf8(readDescriptor(host, 5, 3) ?? ''), '/srv/\n"é');
  assert.ok(folder);
});

test('truncated text never yields another mount or mode', () => {
  for (let end = 0; end < DISK.length; end++) {
    const { mountId, writeOnly } = parseDescriptorInfo(DISK.slice(0, end));
    assert.ok(mountId === undefined || mountId === 23);
    assert.equal(writeOnly, false);
  }
});

testCutIsNeverMisread(
  'parseDescriptorInfo, of the mount,',
  (text) => parseDescriptorInfo(text).mountId,
  DISK,
);
testRobustness('parseDescriptorInfo', parseDescriptorInfo, [DISK, captured('proc/244/fdinfo/23')]);
