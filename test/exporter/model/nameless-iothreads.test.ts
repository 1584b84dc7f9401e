import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type LivingThread, namelessIothreads } from '../../../exporter/model/nameless-iothreads.ts';

const PID = 100;
const MAIN = 'qemu-system-x86';

/** Threads in the order in which they are made, from the process's first one. */
function threads(...names: string[]): LivingThread[] {
  return [MAIN, ...names].map((comm, i) => ({
    tid: PID + i,
    comm,
    isVcpu: /^CPU \d+\/KVM$/.test(comm),
  }));
}

function found(ids: readonly string[], ...names: string[]): Record<number, string> {
  return Object.fromEntries(namelessIothreads(PID, threads(...names), ids));
}

/** As QEMU 7.2 showed them for four IOThreads. */
const SEEN = [
  ['call_rcu', 'IO io0', MAIN, 'IO twelvechars1', MAIN, 'worker', 'IO mon_iothread'],
  ['CPU 0/KVM', 'CPU 1/KVM'],
].flat();
const IDS = ['io0', 'averyveryverylongid', 'twelvechars1', 'thirteenchar1'];

test('an IOThread whose id is too long for a thread name is found by its place among the others', () => {
  assert.deepEqual(found(IDS, ...SEEN), { 103: 'averyveryverylongid', 105: 'thirteenchar1' });
});

test('an id that fits into a thread name is not looked up by order', () => {
  assert.deepEqual(found(['io0'], 'call_rcu', 'IO io0', MAIN, 'CPU 0/KVM'), {});
});

test('with a thread too many or too few, no id is reported', () => {
  const id = ['averyveryverylongid'];
  assert.deepEqual(found(id, 'call_rcu', MAIN, 'CPU 0/KVM'), { 102: 'averyveryverylongid' });
  assert.deepEqual(found(id, 'call_rcu', MAIN, MAIN, 'CPU 0/KVM'), {});
  assert.deepEqual(found(id, 'call_rcu', 'CPU 0/KVM'), {});
  // Without debug-threads=on each thread has the name of the process.
  assert.deepEqual(found(id, MAIN, MAIN, MAIN, MAIN), {});
  assert.deepEqual(found(IDS, ...SEEN.filter((name) => name !== 'IO io0')), {});
});

test('with another order, no id is reported', () => {
  assert.deepEqual(found(['averyveryverylongid', 'io0'], 'call_rcu', 'IO io0', MAIN, 'CPU 0/KVM'), {});
});

test('a thread that started after the vCPUs is no IOThread of the command line', () => {
  const id = ['averyveryverylongid'];
  assert.deepEqual(found(id, 'call_rcu', MAIN, 'CPU 0/KVM', MAIN, 'worker'), { 102: 'averyveryverylongid' });
  assert.deepEqual(found(id, 'call_rcu', 'CPU 0/KVM', MAIN), {});
  assert.deepEqual(found(id, 'call_rcu', MAIN), {}, 'it has yet to make its vCPUs');
});

test('thread ids that wrapped around give no order', () => {
  const wrapped = threads('call_rcu', MAIN, 'CPU 0/KVM').map((thread) => ({ ...thread }));
  wrapped.push({ tid: 5, comm: 'worker', isVcpu: false });
  assert.equal(namelessIothreads(PID, wrapped, ['averyveryverylongid']).size, 0);
});

test('each reported id is one of the command line, reported once, and never for a thread with a name', () => {
  const comm = fc.constantFrom(MAIN, 'IO io0', 'IO io1', 'worker', 'CPU 0/KVM', 'call_rcu');
  const id: fc.Arbitrary<string> = fc.constantFrom(
    'io0',
    'io1',
    'averyveryverylongid',
    'another-very-long-id',
  );
  fc.assert(
    fc.property(fc.array(comm), fc.uniqueArray(id), (names, ids) => {
      const said = namelessIothreads(PID, threads(...names), ids);
      assert.equal(new Set(said.values()).size, said.size);
      for (const [tid, each] of said) {
        assert.ok(ids.includes(each));
        assert.equal(names[tid - PID - 1], MAIN);
      }
    }),
  );
});
