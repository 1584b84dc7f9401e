import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openedFiles } from '../../bench/files-of-a-scrape.ts';

test('files that a scrape opened, once each, with the backslashes of systemd', () => {
  const trace = String.raw`71 openat(AT_FDCWD, "/root/sys/fs/cgroup/vm-web\\x2d1.scope/cpu.max", O_RDONLY|O_CLOEXEC) = 24
71 openat(AT_FDCWD, "/root/proc", O_RDONLY|O_NONBLOCK|O_CLOEXEC|O_DIRECTORY) = 25
72 openat(AT_FDCWD</root>, "/root/proc/stat", O_RDONLY|O_CLOEXEC) = 26
72 openat(AT_FDCWD, "/root/proc/stat", O_RDONLY|O_CLOEXEC) = 26
72 openat(AT_FDCWD, "/root/proc/pressure/cpu", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
72 openat(AT_FDCWD, "/rooted/proc/stat", O_RDONLY|O_CLOEXEC) = 27
`;
  assert.deepEqual(openedFiles(trace, '/root'), [
    String.raw`/root/sys/fs/cgroup/vm-web\x2d1.scope/cpu.max`,
    '/root/proc/stat',
  ]);
});
