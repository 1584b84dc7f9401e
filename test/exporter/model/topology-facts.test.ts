import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mainNodesOf, shareOn } from '../../../exporter/model/numa.ts';
import { factsOf, isWithin, TopologyFacts } from '../../../exporter/model/topology-facts.ts';
import { topologyOf, without } from '../../../testing/observed-vms.ts';

/** Four nodes of two CPUs. Node 2 has no memory, node 3 has no CPUs. */
const UNEVEN = {
  ...without(topologyOf(4, 2, 1), [6, 7]),
  memoryNodes: [0, 1, 3],
  distances: new Map([
    [2, new Map([[0, 31], [1, 21], [2, 10], [3, 21]])], // biome-ignore format: a table
    [3, new Map([[0, 12], [1, 32], [2, 32], [3, 10]])], // biome-ignore format: a table
  ]),
};

test('a mask is compared with the online CPUs, in any order and without repetitions', () => {
  const facts = new TopologyFacts(without(topologyOf(1, 4, 1), [3]));
  assert.deepEqual([...facts.online], [0, 1, 2]);
  assert.deepEqual(facts.mask([3, 1, 0, 1]), { text: '0-1,3', online: [0, 1], isPart: true });
  assert.deepEqual(facts.mask([0, 1, 2]), { text: '0-2', online: [0, 1, 2], isPart: false });
  assert.deepEqual(facts.mask([]), { text: '', online: [], isPart: true });
  const cpus = [0];
  assert.equal(facts.mask(cpus), facts.mask(cpus), 'the same list is converted once');
});

test('siblings of a CPU are the others of its core', () => {
  const facts = new TopologyFacts(topologyOf(1, 2, 2));
  assert.deepEqual([0, 1, 2, 9].map((cpu) => facts.siblings(cpu)), [[1], [0], [3], []]); // biome-ignore format: short
});

test('isolated CPUs are known', () => {
  const { cpus, ...rest } = topologyOf(1, 3, 1);
  const topology = { ...rest, cpus: cpus.map((cpu) => ({ ...cpu, isolated: cpu.cpu === 1 })) };
  assert.deepEqual([...new TopologyFacts(topology).isolated], [1]);
});

test('nodes of CPUs are ascending, once each; an unknown CPU has none', () => {
  const facts = new TopologyFacts(topologyOf(3, 2, 1));
  assert.deepEqual(facts.nodes([5, 0, 4, 1, 99]), [0, 2]);
  assert.deepEqual(facts.nodes([]), []);
});

test('a node without memory has that of the nearest nodes, one without CPUs their CPUs', () => {
  const facts = new TopologyFacts(UNEVEN);
  assert.deepEqual(facts.memoryNear([0]), [0], 'a node with memory is its own');
  assert.deepEqual(facts.memoryNear([2]), [1, 3], 'two are equally near');
  assert.deepEqual(facts.memoryNear([2, 1]), [1, 3]);
  assert.deepEqual(facts.cpusNear([3]), [0]);
  assert.deepEqual(facts.cpusNear([2, 3]), [0, 2]);
  assert.deepEqual(facts.cpusNear([]), []);
});

test('without distances every node is as near as any', () => {
  const facts = new TopologyFacts({ ...UNEVEN, distances: new Map() });
  assert.deepEqual(facts.memoryNear([2]), [0, 1, 3]);
});

test('the facts of one topology are made once', () => {
  const topology = topologyOf(1, 1, 1);
  assert.equal(factsOf(topology), factsOf(topology));
  assert.notEqual(factsOf(topology), factsOf(topologyOf(1, 1, 1)));
});

test('a list is within another if each of its CPUs is', () => {
  assert.equal(isWithin([], []), true);
  assert.equal(isWithin([], [1]), true);
  assert.equal(isWithin([1], []), false);
  assert.equal(isWithin([1, 3], [0, 1, 2, 3, 4]), true);
  assert.equal(isWithin([0, 4], [0, 1, 2, 3, 4]), true);
  assert.equal(isWithin([1, 5], [1, 2, 3]), false);
  assert.equal(isWithin([0], [1, 2]), false);
  assert.equal(isWithin([2], [1, 3]), false);
});

test('the main nodes have at least half as much as the fullest one', () => {
  assert.deepEqual(mainNodesOf(new Map([[3, 100], [1, 50], [0, 49], [2, 0]])), [1, 3]); // biome-ignore format: short
  assert.deepEqual(mainNodesOf(new Map([[1, 0]])), []);
  assert.deepEqual(mainNodesOf(new Map()), []);
});

test('the share of memory on some nodes is of all memory; without memory there is none', () => {
  const memory = new Map([[0, 30], [1, 60], [2, 10]]); // biome-ignore format: short
  assert.equal(shareOn(memory, [0, 2, 7]), 0.4);
  assert.equal(shareOn(memory, []), 0);
  assert.equal(shareOn(new Map(), [0]), undefined);
  assert.equal(shareOn(new Map([[0, 0]]), [0]), undefined);
});
