import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObservedVm } from '../../exporter/model/observed.ts';
import { parseNumaMaps } from '../../probes/proc-numa-maps.ts';
import { type CpuTopology, readCpuTopology } from '../../probes/sys-cpu.ts';
import { caseText } from '../../testing/cases.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';
import { drifts, thread, vmOf } from '../../testing/observed-vms.ts';

const CASE = 'node-without-memory';
const NODE = 'sys/devices/system/node';
/** Of a Threadripper 3960X in NPS4: nodes 0 and 1 share a die, as do 2 and 3. */
const DISTANCES = ['10 12 16 18', '12 10 18 16', '16 18 10 12', '18 16 12 10'];

function topologyOf(tree: HostTree, withDistances: boolean): CpuTopology {
  for (const file of ['has_cpu', 'has_memory', 'online'])
    tree.write(`${NODE}/${file}`, caseText(CASE, NODE, file));
  for (const line of caseText(CASE, NODE, 'cpulists.txt').trim().split('\n')) {
    const [node = '', cpus = ''] = line.split(' ');
    tree.write(`${NODE}/${node}/cpulist`, `${cpus}\n`);
  }
  for (const [node, text] of withDistances ? DISTANCES.entries() : [])
    tree.write(`${NODE}/node${node}/distance`, `${text}\n`);
  tree.write('sys/devices/system/cpu/online', '0-7\n');
  return readCpuTopology(tree.host);
}

const MEMORY = parseNumaMaps(caseText(CASE, 'proc/4101/numa_maps'));
const pinned = (label: string, cpu: number) => thread(label, [cpu], [cpu], { tid: 4102 + cpu });
const vm = (more: Partial<ObservedVm> = {}): ObservedVm =>
  vmOf([pinned('iothread:io0', 0), pinned('vcpu0', 2), pinned('vcpu1', 3)], {
    pid: 4101,
    memory: MEMORY,
    deviceNodes: [0],
    ...more,
  });

for (const withDistances of [true, false]) {
  const how = withDistances ? 'with' : 'without';
  test(`a thread does not cross nodes if no placement is better, ${how} distances`, (context) => {
    const topology = topologyOf(hostTree(context), withDistances);
    assert.deepEqual(drifts(topology, vm()), []);
  });

  test(`no command moves memory to a node without memory, ${how} distances`, (context) => {
    const topology = topologyOf(hostTree(context), withDistances);
    for (const memory of [0, 1, 2, 3].map((node) => new Map([[node, 1e9]]))) {
      for (const cpu of [0, 2, 4, 6]) {
        for (const deviceNodes of [[], [0], [1], [2], [3]]) {
          const threads = [pinned('iothread:io0', cpu), pinned('vcpu0', cpu + 1)];
          for (const { fix } of drifts(topology, vmOf(threads, { memory, deviceNodes, pid: 4101 }))) {
            assert.doesNotMatch(fix ?? '', /^migratepages .* [03]$/);
          }
        }
      }
    }
  });
}

test('access to far memory is a crossing, and the memory moves to the nearest node that has memory', (context) => {
  const topology = topologyOf(hostTree(context), true);
  const far = vm({ memory: new Map([[2, 1e9]]) });
  const [crossing] = drifts(topology, far).filter(({ thread: label }) => label === 'iothread:io0');
  assert.deepEqual([crossing?.kind, crossing?.fix], ['cross_node', 'migratepages 4101 2 1']);
});

test('memory is not moved to a node that the VM may not use', (context) => {
  const topology = topologyOf(hostTree(context), true);
  const [crossing] = drifts(topology, vm({ memory: new Map([[2, 1e9]]), mems: [2] }));
  assert.deepEqual([crossing?.kind, crossing?.fix], ['cross_node', undefined]);
});

test('the nearest CPUs serve a device on a node without CPUs', () => {
  const cpus = [0, 1].map((cpu) => ({
    cpu,
    package: 0,
    core: cpu,
    node: cpu,
    siblings: [cpu],
    isolated: false,
  }));
  const topology: CpuTopology = {
    cpus,
    nodes: [0, 1, 2],
    nodeOf: new Map(cpus.map(({ cpu }) => [cpu, cpu])),
    memoryNodes: [0, 1, 2],
    distances: new Map([
      [
        2,
        new Map([
          [0, 30],
          [1, 20],
          [2, 10],
        ]),
      ],
    ]),
  };
  const on = (cpu: number, more: Partial<ObservedVm>) =>
    drifts(topology, vmOf([thread('iothread:io0', [cpu], [cpu], { tid: 7 })], more)).map(({ fix }) => fix);
  assert.deepEqual(on(1, { deviceNodes: [2] }), []);
  assert.deepEqual(on(0, { deviceNodes: [2] }), ['taskset -pc 1 7']);
  const memory = new Map([[2, 1e9]]);
  assert.deepEqual(on(1, { memory }), ['migratepages 99 2 1'], 'memory of CXL');
});
