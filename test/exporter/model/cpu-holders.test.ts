import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areInConflict, CpuHolders } from '../../../exporter/model/cpu-holders.ts';
import type { ObservedVm } from '../../../exporter/model/observed.ts';
import { TopologyFacts } from '../../../exporter/model/topology-facts.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { thread, topologyOf, vmOf } from '../../../testing/observed-vms.ts';

function holdersOf(topology: CpuTopology, ...vms: ObservedVm[]): CpuHolders {
  return new CpuHolders(vms, new TopologyFacts(topology));
}

/** Two nodes of two cores with two CPUs each: 0-3 and 4-7. */
const SMT = topologyOf(2, 2, 2);

test('a thread on the I/O path holds the one CPU to which it is pinned', () => {
  const vcpu = thread('vcpu0', [2]);
  const io = thread('iothread:a', [3]);
  const roaming = thread('vcpu1', [4, 5]);
  const worker = thread('worker', [6]);
  const holders = holdersOf(SMT, vmOf([vcpu, io, roaming, worker]));
  assert.deepEqual([vcpu, io, roaming, worker].map((each) => holders.of(each)), [2, 3, undefined, undefined]); // biome-ignore format: short
});

test('a thread holds no CPU if its cgroup or the host has only one', () => {
  const vcpu = thread('vcpu0', [2]);
  assert.equal(holdersOf(SMT, vmOf([vcpu], { unpinned: [2] })).of(vcpu), undefined);
  assert.equal(holdersOf(SMT, vmOf([vcpu], { unpinned: 'unknown' })).of(vcpu), 2, 'it may be a pin');
  const only = thread('vcpu0', [0]);
  assert.equal(holdersOf(topologyOf(1, 1, 1), vmOf([only])).of(only), undefined);
});

test('a vCPU shares its CPU with any thread, an I/O thread only with vCPUs', () => {
  const [a, b] = [thread('vcpu0', [1]), thread('vcpu1', [1])];
  const [io, vhost] = [thread('iothread:a', [1]), thread('vhost0', [1])];
  const on = (...threads: (typeof a)[]) => holdersOf(SMT, vmOf(threads));
  assert.equal(on(a, b, io).onSameCpu(a, 1)?.thread, b);
  assert.equal(on(a, io).onSameCpu(a, 1)?.thread, io);
  assert.equal(on(a, io).onSameCpu(io, 1)?.thread, a);
  assert.equal(on(io, vhost).onSameCpu(io, 1), undefined);
  assert.equal(on(a).onSameCpu(a, 1), undefined);
  assert.equal(on(a).onSameCpu(a, 2), undefined);
});

test('on a core a vCPU conflicts with I/O threads and vCPUs of other VMs, an I/O thread with vCPUs', () => {
  const [a, b] = [thread('vcpu0', [0]), thread('vcpu1', [1])];
  const own = vmOf([a, b]);
  assert.equal(holdersOf(SMT, own).onSameCore(own, a, 0), undefined, 'a guest with SMT');
  const other = vmOf([thread('vcpu0', [1])], { vm: 'db' });
  const alone = vmOf([a]);
  assert.equal(holdersOf(SMT, alone, other).onSameCore(alone, a, 0)?.vm, other);
  const io = thread('iothread:a', [1]);
  const mixed = vmOf([a, io]);
  assert.equal(holdersOf(SMT, mixed, other).onSameCore(mixed, a, 0)?.thread, io);
  assert.equal(holdersOf(SMT, mixed).onSameCore(mixed, io, 1)?.thread, a);
  const two = vmOf([thread('vhost0', [0]), io]);
  assert.equal(holdersOf(SMT, two).onSameCore(two, io, 1), undefined);
  assert.equal(holdersOf(topologyOf(2, 2, 1), alone, other).onSameCore(alone, a, 0), undefined, 'no SMT');
});

test('two threads conflict exactly if each is found as the partner of the other', () => {
  const labels = ['vcpu0', 'iothread:a'];
  for (const [a, b] of labels.flatMap((first) => labels.map((second) => [first, second] as const))) {
    for (const names of [
      ['web', 'web'],
      ['web', 'db'],
    ]) {
      for (const cpus of [
        [0, 0],
        [0, 1],
      ]) {
        const threads = [thread(a, [cpus[0] ?? 0]), thread(b, [cpus[1] ?? 0])];
        const [one, other] = threads;
        assert.ok(one && other);
        const together = vmOf(threads);
        const vms = names[0] === names[1] ? [together] : [vmOf([one]), vmOf([other], { vm: 'db' })];
        const holders = holdersOf(SMT, ...vms);
        const [mine = together, its = mine] = vms;
        const isSame = cpus[0] === cpus[1];
        const found = isSame ? holders.onSameCpu(one, 0) : holders.onSameCore(mine, one, 0);
        const conflict = areInConflict({ vm: mine, thread: one }, { vm: its, thread: other }, isSame);
        assert.equal(conflict, found !== undefined, `${a} ${b} ${names} ${cpus}`);
      }
    }
  }
});
