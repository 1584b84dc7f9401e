import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNarrowed, isPin, unpinnedCpus } from '../../../exporter/model/confinement.ts';
import type { Unpinned } from '../../../exporter/model/observed.ts';
import { TopologyFacts } from '../../../exporter/model/topology-facts.ts';
import { topologyOf, without } from '../../../testing/observed-vms.ts';

const FACTS = new TopologyFacts(topologyOf(1, 4, 1));

function pin(mask: number[], unpinned: Unpinned | undefined, others: number[][] = []): boolean | undefined {
  return isPin(FACTS.mask(mask), { unpinned, threads: others.map((allowed) => ({ allowed })) }, FACTS);
}

test('a mask is narrowed if it lost a CPU that is online and that the cpuset allows', () => {
  const facts = new TopologyFacts(without(topologyOf(1, 6, 1), [4, 5]));
  const narrowed = (cpus: number[], before: number[], cpuset?: number[]) =>
    isNarrowed(cpus, before, cpuset, facts);
  assert.equal(narrowed([0], [0, 1]), true);
  assert.equal(narrowed([0, 1], [0, 1]), false);
  assert.equal(narrowed([], [0, 1]), false);
  assert.equal(narrowed([2], [0, 1]), false, 'moved');
  assert.equal(narrowed([0], [0, 4]), false, 'CPU 4 is offline');
  assert.equal(narrowed([0], [0, 1, 4]), true);
  assert.equal(narrowed([0], [0, 1], [0]), false, 'the cpuset took CPU 1');
  assert.equal(narrowed([0], [0, 1, 2], [0, 2]), true);
  assert.equal(narrowed([0], [0, 1], [0, 1]), true);
});

test('a mask of all CPUs is no pin, also if the cgroup is unknown', () => {
  for (const unpinned of [undefined, 'unknown', [0, 1]] as const)
    assert.equal(pin([0, 1, 2, 3], unpinned, [[0]]), false);
});

test('part of the CPUs is a pin, unless a thread has these CPUs without one', () => {
  assert.equal(pin([0, 1], undefined), true);
  assert.equal(pin([0, 1], [0, 1]), false, 'the cpuset of the VM');
  assert.equal(pin([0, 1, 2], [0, 1]), false, 'more than the cpuset');
  assert.equal(pin([0], [0, 1]), true);
  assert.equal(pin([1, 2], [0, 1]), true);
});

test('in an unknown cgroup a mask is a pin if another thread may use more', () => {
  assert.equal(pin([0, 1], 'unknown', [[0, 1], [0, 1]]), undefined); // biome-ignore format: short
  assert.equal(pin([0, 1], 'unknown', [[0, 1], [2]]), true); // biome-ignore format: short
  assert.equal(pin([0, 1], 'unknown', [[0]]), undefined);
  assert.equal(pin([0, 1], 'unknown'), undefined);
});

test('a thread without a pin has the CPUs of the first process that its cgroup allows', () => {
  assert.deepEqual(unpinnedCpus([0, 1, 2], undefined, FACTS), [0, 1, 2]);
  assert.deepEqual(unpinnedCpus([0, 1, 2], [1, 2, 3], FACTS), [1, 2]);
  assert.deepEqual(unpinnedCpus([0, 1], [2, 3], FACTS), [2, 3], 'a cpuset of reserved CPUs');
  assert.deepEqual(unpinnedCpus([0, 9], undefined, FACTS), [0], 'an offline CPU does not count');
  assert.deepEqual(unpinnedCpus([0], [2, 9], FACTS), [2]);
});

test('if the first process cannot be read, isolated CPUs are left out, unless all are isolated', () => {
  const { cpus, ...rest } = topologyOf(1, 3, 1);
  const isolated = (ids: readonly number[]) =>
    new TopologyFacts({ ...rest, cpus: cpus.map((cpu) => ({ ...cpu, isolated: ids.includes(cpu.cpu) })) });
  assert.deepEqual(unpinnedCpus(undefined, undefined, isolated([1])), [0, 2]);
  assert.deepEqual(unpinnedCpus([], [1, 2], isolated([1])), [2]);
  assert.deepEqual(unpinnedCpus(undefined, undefined, isolated([0, 1, 2])), [0, 1, 2]);
  assert.deepEqual(unpinnedCpus([9], undefined, isolated([])), [0, 1, 2]);
});

test('a mask is judged by the CPUs that are online', () => {
  const facts = new TopologyFacts(without(topologyOf(1, 4, 1), [3]));
  const isPinned = isPin(facts.mask([0, 1, 2]), { unpinned: undefined, threads: [] }, facts);
  assert.equal(isPinned, false);
});
