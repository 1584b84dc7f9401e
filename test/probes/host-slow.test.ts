import assert from 'node:assert/strict';
import { pbkdf2 } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { createHost } from '../../probes/host.ts';
import { inTime } from '../../probes/in-time.ts';
import { hostTree } from '../../testing/host-tree.ts';

const POOL = 4;
const late = { name: 'SourceError', kind: 'timeout' };

/** Keeps every thread of libuv's pool busy for a while, as reads that hang in the kernel would. */
function hogThreadPool(): Promise<unknown> {
  const hog = () =>
    new Promise((resolve) => {
      pbkdf2('x', 'y', 400_000, 64, 'sha512', resolve);
    });
  return Promise.all(Array.from({ length: POOL }, hog));
}

test('a slow read times out, and its slot is free once it ends', async (context) => {
  const { host: patient, folder, write } = hostTree(context);
  const host = createHost(patient.roots, inTime);
  const path = join(folder, 'file');
  write('file', 'x');
  const hogs = hogThreadPool();
  const hanging = [host.slowText(path, 10, 10), host.slowStat(path, 10)];
  const results = await Promise.allSettled(hanging);
  for (const result of results) {
    assert.equal(result.status, 'rejected');
    assert.throws(() => {
      throw result.reason;
    }, late);
  }
  await assert.rejects(host.slowText(path, 10, 60_000), { ...late, reason: /2 earlier reads/ });
  await hogs;
  let answer: string | undefined;
  while (answer === undefined) answer = await host.slowText(path, 10, 60_000).catch(() => undefined);
  assert.equal(answer, 'x');
});

test('time in which this process gets no CPU is not the time of a read', async (context) => {
  const { host, folder, write } = hostTree(context);
  write('file', 'x');
  const reading = host.slowText(join(folder, 'file'), 10, 1);
  const end = performance.now() + 20;
  while (performance.now() < end);
  assert.equal(await reading, 'x');
});

test('two slow reads may run at once; a third is refused', async (context) => {
  const { host, folder, write } = hostTree(context);
  const path = join(folder, 'file');
  write('file', 'x');
  const first = host.slowText(path, 10, 60_000);
  const second = host.slowStat(path, 60_000);
  await assert.rejects(host.slowText(path, 10, 60_000), late);
  assert.equal(await first, 'x');
  await second;
  assert.equal(await host.slowText(path, 10, 60_000), 'x');
});

test('a slow read that fails frees its slot', async (context) => {
  const { host, folder } = hostTree(context);
  for (let i = 0; i < 5; i++) {
    await assert.rejects(host.slowText(join(folder, 'nothing'), 10, 60_000), { kind: 'absent' });
    await assert.rejects(host.slowStat(join(folder, 'nothing'), 60_000), { kind: 'absent' });
  }
});

test('a slow read is capped as well', async (context) => {
  const { host, folder, write } = hostTree(context);
  write('file', '0123456789\xff');
  assert.equal(await host.slowText(join(folder, 'file'), 11, 60_000), '0123456789\xff');
  await assert.rejects(host.slowText(join(folder, 'file'), 10, 60_000), { kind: 'too_large' });
  await assert.rejects(host.slowText('/dev/zero', 100_000, 60_000), { kind: 'too_large' });
});
