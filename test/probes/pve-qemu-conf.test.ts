import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parsePveTags, readPvePid, readPveTags } from '../../probes/pve-qemu-conf.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

/** As qemu-server writes it: the notes, the VM's keys in order, then what is pending, then each snapshot. */
const CONF = `#tags%3A notes
boot: order=scsi0;net0
cores: 4
meta: creation-qemu=8.0.2,ctime=1700141675
name: web01
parent: before-upgrade
scsi0: local-lvm:vm-101-disk-0,discard=on,iothread=1,size=32G
scsihw: virtio-scsi-single
smbios1: uuid=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
tags: web;prod;team-a

[PENDING]
tags: pending

[before-upgrade]
name: web01
snaptime: 1700143513
tags: old
`;
const WITHOUT = CONF.replace('tags: web;prod;team-a\n', '');

test('the tags of the VM, and never those of a snapshot or of what is pending', () => {
  assert.deepEqual(parsePveTags(CONF, true), ['prod', 'team-a', 'web']);
  assert.deepEqual(parsePveTags(WITHOUT, true), []);
  assert.deepEqual(parsePveTags('', true), []);
});

test('separators are those of Proxmox VE, and each tag counts once', () => {
  assert.deepEqual(parsePveTags('tags:  b, a;;c  b\tA\r\n', true), ['A', 'a', 'b', 'c']);
});

test('the beginning of a long file has the tags, or they are unknown', () => {
  const long = `${WITHOUT.split('[')[0]}tags: web;prod`;
  assert.equal(parsePveTags(long, false), undefined, 'the last line is cut: it may be tags: web;production');
  assert.deepEqual(parsePveTags(`${long}\n[sn`, false), ['prod', 'web']);
});

test('hostile tags are left out: other characters, long ones, thousands', () => {
  const hostile = `tags: ok;"};evil="1;a\x1b[31m;${'x'.repeat(129)};-lead;é;__proto__`;
  assert.deepEqual(parsePveTags(`${hostile}\n`, true), ['__proto__', 'ok']);
  const many = Array.from({ length: 5000 }, (_, i) => `t${i}`).join(';');
  assert.equal(parsePveTags(`tags: ${many}\n`, true)?.length, 32);
});

test('a line is the tags only outside of sections, whatever stands around it', () => {
  const line = fc.stringMatching(/^[a-z0-9#: ;=%-]{0,30}$/).filter((text) => !text.startsWith('tags:'));
  const lines = fc.array(line, { maxLength: 8 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const outside = [...before, 'tags: a', ...after].join('\n');
      const inside = [...before, '[snapshot]', 'tags: a', ...after].join('\n');
      return parsePveTags(outside, true)?.join() === 'a' && parsePveTags(inside, true)?.length === 0;
    }),
  );
});

test('the file is that of the number, and the process that which Proxmox VE started', async (context) => {
  const { host, write } = hostTree(context);
  write('etc/pve/qemu-server/101.conf', CONF);
  assert.deepEqual(await readPveTags(host, 101, 5000), ['prod', 'team-a', 'web']);
  await assert.rejects(readPveTags(host, 102, 5000), { kind: 'absent' });
  assert.equal(readPvePid(host, 101), undefined);
  for (const [text, pid] of [
    ['4711\n', 4711],
    ['', undefined],
    ['-1', undefined],
    ['1 2', undefined],
    ['9'.repeat(100), undefined],
  ] as const) {
    write('run/qemu-server/101.pid', text);
    assert.equal(readPvePid(host, 101), pid, text);
  }
});

testRobustness('parsePveTags', (text) => parsePveTags(text, true), [CONF]);
