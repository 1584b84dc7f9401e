import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { countCpuList } from '../../probes/cpu-list.ts';
import { readCpuTopology, readTopologyMark } from '../../probes/sys-cpu.ts';
import { capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';

const CPU = 'sys/devices/system/cpu';
const NODE = 'sys/devices/system/node';

test('the topology of a captured host with two nodes is read', () => {
  const { cpus, nodes, nodeOf } = readCpuTopology(capturedHost());
  assert.deepEqual(cpus, [
    { cpu: 0, package: 0, core: 0, node: 0, siblings: [0], isolated: false },
    { cpu: 1, package: 1, core: 0, node: 1, siblings: [1], isolated: false },
  ]);
  assert.deepEqual(nodes, [0, 1]);
  assert.deepEqual(
    [...nodeOf],
    [
      [0, 0],
      [1, 1],
    ],
  );
  assert.match(readTopologyMark(capturedHost()), /^0-1\n\|/);
});

test('siblings, isolated CPUs, offline CPUs and nodes without CPUs are distinguished', (context) => {
  const { host, write } = hostTree(context);
  write(`${CPU}/online`, '0,2-3\n');
  write(`${CPU}/isolated`, '3\n');
  write(`${CPU}/cpu2/topology/thread_siblings_list`, '2-3\n');
  write(`${CPU}/cpu2/topology/core_id`, '17\n');
  write(`${CPU}/cpu2/topology/physical_package_id`, '1\n');
  write(`${CPU}/cpu2/cpu_capacity`, '580\n');
  write(`${NODE}/online`, '0,2\n');
  write(`${NODE}/node0/cpulist`, '0-3\n');
  write(`${NODE}/node2/cpulist`, '\n');
  const { cpus, nodes } = readCpuTopology(host);
  assert.deepEqual(cpus, [
    { cpu: 0, package: 0, core: 0, node: 0, siblings: [0], isolated: false },
    { cpu: 2, package: 1, core: 17, node: 0, siblings: [2, 3], isolated: false, capacity: 580 },
    { cpu: 3, package: 0, core: 0, node: 0, siblings: [3], isolated: true },
  ]);
  assert.deepEqual(nodes, [0, 2]);
});

test('memory and distances of nodes are read, and without them all nodes have memory', (context) => {
  const { host, write } = hostTree(context);
  write(`${NODE}/online`, '0,2\n');
  for (const node of [0, 2]) write(`${NODE}/node${node}/cpulist`, '\n');
  assert.deepEqual(readCpuTopology(host).memoryNodes, [0, 2]);
  assert.equal(readCpuTopology(host).distances.size, 0);
  const before = readTopologyMark(host);
  write(`${NODE}/has_memory`, '2\n');
  assert.notEqual(readTopologyMark(host), before, 'memory was plugged in');
  write(`${NODE}/node0/distance`, '10 21\n');
  write(`${NODE}/node2/distance`, '21\n');
  const { memoryNodes, distances } = readCpuTopology(host);
  assert.deepEqual(memoryNodes, [2]);
  assert.deepEqual(
    [...(distances.get(0) ?? [])],
    [
      [0, 10],
      [2, 21],
    ],
  );
  assert.equal(distances.has(2), false, 'too few of them');
});

test('a kernel without NUMA has no nodes, and a package of -1 counts as 0', (context) => {
  const { host, write } = hostTree(context);
  write(`${CPU}/cpu0/topology/physical_package_id`, '-1\n');
  const { cpus, nodes, nodeOf } = readCpuTopology(host);
  assert.deepEqual([cpus[0]?.node, cpus[0]?.package, nodes, nodeOf.size], [undefined, 0, [], 0]);
});

test('a node that was removed since the list was read costs nothing else', (context) => {
  const { host, write } = hostTree(context);
  write(`${NODE}/online`, '0-1\n');
  write(`${NODE}/node0/cpulist`, '0-1\n');
  const { cpus, nodes } = readCpuTopology(host);
  assert.deepEqual([cpus.map(({ node }) => node), nodes], [[0, 0], [0, 1]]); // biome-ignore format: pairs
});

test('invalid text is malformed; a missing CPU list is absent', (context) => {
  const { host, write, remove } = hostTree(context);
  write(`${CPU}/cpu0/topology/core_id`, 'x\n');
  assert.throws(() => readCpuTopology(host), { name: 'SourceError', kind: 'malformed' });
  remove(`${CPU}/online`);
  assert.throws(() => readCpuTopology(host), { name: 'SourceError', kind: 'absent' });
});

test('the running kernel has the CPUs that its online list counts', () => {
  const { cpus } = readCpuTopology(liveHost());
  assert.equal(cpus.length, countCpuList(readTopologyMark(liveHost()).split('\n')[0] ?? ''));
  assert.ok(cpus.length >= availableParallelism());
  for (const { cpu, siblings } of cpus) assert.ok(siblings.includes(cpu));
});
