import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Sampler } from '../../../exporter/assessment/sampler.ts';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

const VM = { key: '10:1000', label: 'web' } as Vm;

function thread(tree: HostTree, tid: number, more: Partial<VmThread> = {}): VmThread {
  const path = `${tree.host.roots.procfs}/10/task/${tid}`;
  return { tid, startTime: 1000, comm: '', role: 'vcpu', label: `vcpu${tid}`, path, ...more };
}

/** A sampler with a clock that is set by hand, and one vCPU whose CPU is set by hand. */
function setUp(context: TestContext, maxCpus = 4) {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm: 'qemu-system-x86', threads: [{ tid: 11, comm: 'CPU 0/KVM' }] });
  let at = 0;
  const sampler = new Sampler(tree.host, { maxCpus, intervalMs: 1000 }, () => at);
  const vcpu = thread(tree, 11);
  return {
    tree,
    sampler,
    vcpu,
    async sample(cpu: number, seconds: number, threads: readonly VmThread[] = [vcpu]) {
      at += seconds * 1000;
      const fields = ['11', '(CPU 0/KVM)', 'R', ...Array.from({ length: 49 }, () => '0')];
      fields[21] = '1000';
      fields[38] = String(cpu);
      tree.write('proc/10/task/11/stat', `${fields.join(' ')}\n`);
      return sampler.sample([VM], () => threads);
    },
  };
}

test('the time between two samples is credited to the CPU of the second one', async (context) => {
  const { sampler, vcpu, sample } = setUp(context);
  assert.equal(sampler.residencyOf(vcpu), undefined);
  for (const cpu of [0, 0, 1, 1]) await sample(cpu, 1);
  assert.deepEqual(
    [...(sampler.residencyOf(vcpu)?.secondsOn ?? [])],
    [
      [0, 1],
      [1, 2],
    ],
  );
  assert.equal(sampler.residencyOf(vcpu)?.migrations, 1);
});

test('a gap, such as a suspended host, is credited to no CPU', async (context) => {
  const { sampler, vcpu, sample } = setUp(context);
  await sample(0, 1);
  await sample(0, 3600);
  await sample(0, 1);
  assert.deepEqual([...(sampler.residencyOf(vcpu)?.secondsOn ?? [])], [[0, 1]]);
});

test('a new thread under a reused id is not credited to the old one', async (context) => {
  const { sampler, tree, sample } = setUp(context);
  const old = thread(tree, 11, { startTime: 500 });
  await sample(0, 1, [old]);
  assert.equal(sampler.residencyOf(old), undefined);
});

test('only threads on the I/O path are sampled', async (context) => {
  const { sampler, tree, sample } = setUp(context);
  const emulator = thread(tree, 11, { role: 'emulator' });
  await sample(0, 1, [emulator]);
  assert.equal(sampler.residencyOf(emulator), undefined);
});

test('an unreadable thread does not affect other threads, and an exited one is no problem', async (context) => {
  const { sampler, tree, vcpu, sample } = setUp(context);
  tree.write('proc/10/task/12/stat', 'nonsense');
  const broken = thread(tree, 12);
  const ended = thread(tree, 13);
  const problems = await sample(0, 1, [broken, ended, vcpu]);
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ['malformed'],
  );
  assert.ok(sampler.residencyOf(vcpu));
});
