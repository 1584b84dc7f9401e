import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadTimes } from '../../../../exporter/assessment/cause/thread-times.ts';
import type { Role } from '../../../../exporter/model/roles.ts';
import type { ThreadObservation } from '../../../../exporter/model/vm.ts';

/** @param seconds on a CPU; undefined: the thread exits while it is read */
function thread(role: Role, processor: number, seconds: number | undefined): ThreadObservation {
  const schedstat = (): object => {
    if (seconds === undefined) throw new Error('gone');
    return { run: seconds * 1e9, wait: seconds * 5e8, timeslices: 1 };
  };
  return { thread: { role }, task: { processor, schedstat } } as unknown as ThreadObservation;
}

test('run time, waits and CPUs of vCPUs and I/O threads', () => {
  const threads = [
    thread('vcpu', 1, 2),
    thread('vcpu', 3, 4),
    thread('iothread', 5, 1),
    thread('emulator', 0, 9),
  ];
  assert.deepEqual(threadTimes(threads, 7), {
    at: 7,
    parts: {
      vcpu: { threads: 2, run: 6, wait: 3, cpus: [1, 3] },
      io: { threads: 1, run: 1, wait: 0.5, cpus: [5] },
    },
  });
});

test('without I/O threads the main loop does the I/O', () => {
  const found = threadTimes([thread('vcpu', 1, 2), thread('emulator', 0, 9), thread('worker', 0, 1)], 7);
  assert.deepEqual(found?.parts.io, { threads: 1, run: 9, wait: 4.5, cpus: [0] });
});

test('unknown: a thread that exits, a kernel that counts no waits, no threads', () => {
  assert.equal(threadTimes([thread('vcpu', 1, 2), thread('vcpu', 1, undefined)], 7), undefined);
  assert.equal(threadTimes([thread('vcpu', 1, 0)], 7), undefined);
  assert.equal(threadTimes([], 7), undefined);
});
