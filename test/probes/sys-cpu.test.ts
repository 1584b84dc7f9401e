import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { countCpuList } from '../../probes/cpu-list.ts';
import { readCpuTopology, readOnlineCpus } from '../../probes/sys-cpu.ts';
import { hostTree } from '../support/host-tree.ts';
import { capturedHost, liveHost } from './captured.ts';

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
  assert.equal(readOnlineCpus(capturedHost()), '0-1\n');
});

test('siblings, isolated CPUs, CPUs offline and nodes without CPUs are told apart', (context) => {
  const { host, write } = hostTree(context);
  write(`${CPU}/online`, '0,2-3\n');
  write(`${CPU}/isolated`, '3\n');
  write(`${CPU}/cpu2/topology/thread_siblings_list`, '2-3\n');
  write(`${CPU}/cpu2/topology/core_id`, '17\n');
  write(`${CPU}/cpu2/topology/physical_package_id`, '1\n');
  write(`${NODE}/online`, '0,2\n');
  write(`${NODE}/node0/cpulist`, '0-3\n');
  write(`${NODE}/node2/cpulist`, '\n');
  const { cpus, nodes } = readCpuTopology(host);
  assert.deepEqual(cpus, [
    { cpu: 0, package: 0, core: 0, node: 0, siblings: [0], isolated: false },
    { cpu: 2, package: 1, core: 17, node: 0, siblings: [2, 3], isolated: false },
    { cpu: 3, package: 0, core: 0, node: 0, siblings: [3], isolated: true },
  ]);
  assert.deepEqual(nodes, [0, 2]);
});

test('a kernel without NUMA has no nodes, and a package of -1 counts as 0', (context) => {
  const { host, write } = hostTree(context);
  write(`${CPU}/cpu0/topology/physical_package_id`, '-1\n');
  const { cpus, nodes, nodeOf } = readCpuTopology(host);
  assert.deepEqual([cpus[0]?.node, cpus[0]?.package, nodes, nodeOf.size], [undefined, 0, [], 0]);
});

test('nonsense is malformed and a missing list of CPUs is absent', (context) => {
  const { host, write, remove } = hostTree(context);
  write(`${CPU}/cpu0/topology/core_id`, 'x\n');
  assert.throws(() => readCpuTopology(host), { name: 'SourceError', kind: 'malformed' });
  remove(`${CPU}/online`);
  assert.throws(() => readCpuTopology(host), { name: 'SourceError', kind: 'absent' });
});

test('the running kernel has the CPUs that its online list counts', () => {
  const { cpus } = readCpuTopology(liveHost());
  assert.equal(cpus.length, countCpuList(readOnlineCpus(liveHost()).trim()));
  assert.ok(cpus.length >= availableParallelism());
  for (const { cpu, siblings } of cpus) assert.ok(siblings.includes(cpu));
});
