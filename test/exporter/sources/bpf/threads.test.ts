import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VmThread } from '../../../../exporter/model/vm.ts';
import type { BpfSettings } from '../../../../exporter/sources/bpf/object.ts';
import type { RowReader } from '../../../../exporter/sources/bpf/row-reader.ts';
import { KernelThreads } from '../../../../exporter/sources/bpf/threads.ts';
import { SourceError } from '../../../../probes/errors.ts';
import { capturedHost, liveHost } from '../../../../testing/captured.ts';
import { threadRow } from '../../../../testing/thread-rows.ts';

const AUTO: BpfSettings = { mode: 'auto' };

function source(read: RowReader['read']): KernelThreads {
  const threads = new KernelThreads(liveHost(), AUTO, () => ({ read, close: () => undefined }));
  threads.prepare();
  return threads;
}

const thread = (tid: number, startTime: number) => ({ tid, startTime }) as VmThread;

test('a snapshot has the threads of each process, which is the same one as before', () => {
  const rows = [
    threadRow({ pid: 7, tid: 7, start: 100, cpu: 1 }),
    threadRow({ pid: 9, tid: 9, start: 5, comm: 'vhost-7' }),
    threadRow({ pid: 7, tid: 12, start: 101, cpu: 2 }),
  ];
  const asked: number[][] = [];
  const threads = source((pids) => {
    asked.push([...pids]);
    return Buffer.concat(rows);
  });
  const snapshot = threads.read(new Set([7, 9]));
  assert.deepEqual(asked, [[7, 9]]);
  assert.deepEqual(
    snapshot.ofProcess({ pid: 7, startTime: 100 })?.map(({ tid }) => tid),
    [7, 12],
  );
  assert.equal(snapshot.ofProcess({ pid: 7, startTime: 99 }), undefined, 'a reused pid');
  assert.equal(snapshot.ofProcess({ pid: 8, startTime: 1 }), undefined);
  assert.equal(snapshot.ofKernelThread(9)?.comm, 'vhost-7');
  assert.equal(snapshot.of(thread(12, 101))?.processor, 2);
  assert.equal(snapshot.of(thread(12, 102)), undefined, 'a reused thread id');
});

test('a snapshot does not change with the next one', () => {
  const buffer = threadRow({ pid: 7, tid: 7, cpu: 1 });
  const threads = source(() => buffer);
  const first = threads.read(new Set([7]));
  threadRow({ pid: 7, tid: 7, cpu: 2 }).copy(buffer);
  assert.equal(threads.read(new Set([7])).of(thread(7, 0))?.processor, 2);
  assert.equal(first.of(thread(7, 0))?.processor, 1);
});

test('of two rows of one thread the first counts', () => {
  const twice = Buffer.concat([1, 2].map((cpu) => threadRow({ pid: 7, tid: 7, cpu })));
  const threads = source(() => twice);
  assert.equal(threads.read(new Set([7])).ofProcess({ pid: 7, startTime: 0 })?.length, 1);
});

test('a read that fails and damaged rows are a problem of this read only', () => {
  let next: () => Buffer = () => Buffer.from('damaged rows');
  const threads = source(() => next());
  const kinds = () => threads.read(new Set([7])).problems.map(({ kind }) => kind);
  assert.deepEqual(kinds(), ['malformed']);
  next = () => {
    throw new SourceError('failed', 'BPF iterator threads', 'EAGAIN');
  };
  assert.deepEqual(kinds(), ['failed']);
  assert.equal(threads.read(new Set([7])).ofProcess({ pid: 7, startTime: 0 }), undefined);
  next = () => threadRow({ pid: 7, tid: 7 });
  assert.deepEqual(kinds(), []);
});

test('an object that cannot be loaded is missing and no problem; a disabled one is not reported', () => {
  const denied = new SourceError('denied', 'BPF iterator threads', 'EPERM');
  const threads = new KernelThreads(liveHost(), AUTO, () => {
    throw denied;
  });
  threads.prepare();
  assert.deepEqual([threads.isWanted, threads.read(new Set([7])).missing], [true, [denied]]);
  threads.configure({ mode: 'off' });
  threads.prepare();
  assert.deepEqual([threads.isWanted, threads.read(new Set([7])).missing], [false, []]);
});

test('a copy of a host without rows wants none', () => {
  const threads = new KernelThreads(capturedHost(), AUTO);
  threads.prepare();
  assert.equal(threads.isWanted, false);
});
