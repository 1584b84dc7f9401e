import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../probes/host.ts';
import { parseMountinfo, readMountinfo } from '../../probes/proc-mountinfo.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { PATIENCE_MS } from '../../testing/patience.ts';
import { testRobustness } from './robustness.ts';
import { zombie } from './zombie.ts';

/** Linux 6.18, and lines of hosts with the common kinds of mounts. */
const TEXT = [
  '22 27 0:21 / /proc rw,relatime - proc proc rw',
  '24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334460k,nr_inodes=3083615,mode=755',
  '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resv_strict,resuid=65534,resgid=65534',
  '98 27 259:3 /images /var/lib/libvirt/images rw,noatime shared:45 master:7 - xfs /dev/nvme0n1p3 rw,attr2',
  '99 27 0:45 /@vm /srv rw shared:1 propagate_from:2 - btrfs /dev/mapper/vg-lv rw,subvol=/@vm',
  '',
].join('\n');

test('mounts in the current format are read', () => {
  const mounts = parseMountinfo(TEXT);
  assert.equal(mounts.length, 5);
  assert.deepEqual(mounts[2], {
    id: 27,
    device: { major: 254, minor: 0 },
    root: '/',
    mountPoint: '/',
    type: 'ext4',
    source: '/dev/vda',
    options: '',
  });
});

test('optional fields do not shift what follows them', () => {
  const [, , , xfs, btrfs] = parseMountinfo(TEXT);
  assert.deepEqual([xfs?.type, xfs?.source, xfs?.device.minor], ['xfs', '/dev/nvme0n1p3', 3]);
  assert.deepEqual([btrfs?.type, btrfs?.source], ['btrfs', '/dev/mapper/vg-lv']);
  assert.deepEqual([xfs?.root, btrfs?.root], ['/images', '/@vm']);
});

test('escaped spaces, tabs, newlines and backslashes are unescaped', () => {
  const [mount] = parseMountinfo('5 1 8:1 / /a\\040b\\011c\\012d\\134040 rw - ext4 /dev/my\\040disk rw\n');
  assert.equal(mount?.mountPoint, '/a b\tc\nd\\040');
  assert.equal(mount?.source, '/dev/my disk');
});

for (const name of ['à', 'été', '日本', '\u00a0', '\r', '\f\v']) {
  test(`a mount point with ${JSON.stringify(name)} in it is not lost`, () => {
    const bytes = Buffer.from(`5 1 8:1 / /mnt/${name} rw - ext4 /dev/sda1 rw\n`).toString('latin1');
    assert.deepEqual(
      parseMountinfo(bytes).map(({ mountPoint }) => utf8(mountPoint)),
      [`/mnt/${name}`],
    );
  });
}

test('a mount whose source is the empty string is not lost', () => {
  const [mount] = parseMountinfo('5 1 0:40 / /run/vm rw - tmpfs  rw,size=4k\n');
  assert.deepEqual([mount?.type, mount?.source], ['tmpfs', '']);
});

test('a mount with a hundred layers of options is not lost', () => {
  const layers = '/var/lib/docker/overlay2/l/ABCDEFGHIJKLMNOPQRSTUVWXYZ:'.repeat(1500);
  const [mount] = parseMountinfo(`5 1 0:40 / / rw - overlay overlay rw,lowerdir=${layers}\n`);
  assert.equal(mount?.type, 'overlay');
});

test('a mount point cannot pose as another field or line', () => {
  const mounts = parseMountinfo('5 1 8:1 / /a\\040-\\040ext4\\040/dev/sdb\\0126 rw - xfs /dev/sda1 rw\n');
  assert.deepEqual(
    mounts.map(({ type, source }) => [type, source]),
    [['xfs', '/dev/sda1']],
  );
});

test('lines of another form are ignored', () => {
  for (const line of [
    '',
    'x',
    '5 1 8:1 / /',
    '5 1 8:1 / / rw',
    '-5 1 8:1 / / rw - a b c',
    '5 1 8 / / rw - a b c',
  ]) {
    assert.deepEqual(parseMountinfo(`${line}\n`), [], line);
  }
});

test('truncated text never yields a mount that does not exist', () => {
  const whole = parseMountinfo(TEXT);
  for (let end = 0; end < TEXT.length; end++) {
    const mounts = parseMountinfo(TEXT.slice(0, end));
    assert.deepEqual(mounts, whole.slice(0, mounts.length));
  }
});

test('the mounts of this process are read, one of them the root', async () => {
  const mounts = await readMountinfo(liveHost(), process.pid, 5000);
  assert.ok(mounts.some(({ mountPoint }) => mountPoint === '/'));
  assert.ok(mounts.some(({ mountPoint, type }) => mountPoint === '/proc' && type === 'proc'));
});

test('more than 64 MiB of mounts is too large; an exited process is reported as such', async (context) => {
  const { host, write } = hostTree(context);
  write('proc/7/mountinfo', TEXT.repeat(160_000));
  await assert.rejects(readMountinfo(host, 7, PATIENCE_MS), { name: 'SourceError', kind: 'too_large' });
  await assert.rejects(readMountinfo(host, 8, PATIENCE_MS), { name: 'SourceError', kind: 'absent' });
});

test('a zombie counts as exited: the kernel refuses to list its mounts', async (context) => {
  const pid = await zombie(context);
  await assert.rejects(readMountinfo(liveHost(), pid, PATIENCE_MS), {
    name: 'SourceError',
    kind: 'vanished',
  });
});

testRobustness('parseMountinfo', parseMountinfo, [TEXT]);
