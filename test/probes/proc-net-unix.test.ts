import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListeningSockets, readListeningSockets } from '../../probes/proc-net-unix.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

const HEAD = 'Num       RefCount Protocol Flags    Type St Inode Path\n';

function line(inode: number, path: string, flags = '00010000'): string {
  return `0000000000000000: 00000002 00000000 ${flags} 0001 01 ${inode} ${path}\n`;
}

test('sockets that listen at a path are found, with their inodes', () => {
  const text =
    HEAD +
    line(21093, '/run/a.sock') +
    line(21094, '/run/a.sock', '00000000') +
    line(21095, '@abstract') +
    '0000000000000000: 00000003 00000000 00000000 0001 03 21096\n' +
    line(21097, '/run/with space.sock');
  assert.deepEqual(
    [...parseListeningSockets(text)],
    [
      ['/run/a.sock', [21093]],
      ['/run/with space.sock', [21097]],
    ],
  );
});

test('two sockets in two mount namespaces may show one path', () => {
  assert.deepEqual(
    parseListeningSockets(line(1, '/run/a.sock') + line(2, '/run/a.sock')).get('/run/a.sock'),
    [1, 2],
  );
});

test('a path that is not ASCII is found under its name in the directory listing', (context) => {
  const { host, write } = hostTree(context);
  write('proc/1/net/unix', Buffer.from(HEAD + line(7, '/run/müller.sock')));
  assert.deepEqual(readListeningSockets(host, 1).get('/run/müller.sock'), [7]);
});

test("the daemon's own network namespace can be read", () => {
  assert.ok(readListeningSockets(liveHost(), 'self') instanceof Map);
});

test('a missing file is an error, not an empty result', (context) => {
  assert.throws(() => readListeningSockets(hostTree(context).host, 1), { kind: 'absent' });
});

testRobustness('parseListeningSockets', parseListeningSockets, [
  HEAD + line(21093, '/run/a.sock') + line(21094, '/run/b.sock') + line(21095, '@abstract'),
]);
