import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACED } from '../../../../exporter/assessment/plan/improvement.ts';
import type { ObservedVm } from '../../../../exporter/model/observed.ts';
import type { CpuTopology } from '../../../../probes/sys-cpu.ts';
import { hostOf, kinds, thread, topologyOf, vmOf } from '../../../../testing/observed-vms.ts';
import { planFor } from '../../../../testing/vm-plan.ts';

/** AMD's NPS4, or Intel's SNC4: two sockets of four nodes, four cores of two threads each. */
const NPS4 = ((): CpuTopology => {
  const topology = topologyOf(8, 4, 2);
  const socketOf = (node: number): number => Math.floor(node / 4);
  const distance = (a: number, b: number): number => (a === b ? 10 : socketOf(a) === socketOf(b) ? 12 : 32);
  return {
    ...topology,
    cpus: topology.cpus.map((cpu) => ({ ...cpu, package: socketOf(cpu.node ?? 0) })),
    distances: new Map(
      topology.nodes.map((a) => [a, new Map(topology.nodes.map((b) => [b, distance(a, b)]))]),
    ),
  };
})();
const ALL = NPS4.cpus.map(({ cpu }) => cpu);
const spread = (...nodes: number[]): Map<number, number> => new Map(nodes.map((node) => [node, 1e9]));

/** A VM that nobody pinned. */
function roaming(vcpus: number, more: Partial<ObservedVm>): ObservedVm {
  const labels = Array.from({ length: vcpus }, (_, i) => `vcpu${i}`);
  return vmOf(
    [...labels, 'iothread:io0'].map((label) => thread(label, ALL)),
    more,
  );
}

/** The CPU that the plan gives each thread. */
function placed(vm: ObservedVm): Record<string, string> {
  const { steps } = planFor(hostOf(NPS4, [vm]), vm, PLACED);
  return Object.fromEntries(
    steps.map(({ command }) => {
      const [, , cpus = '', tid] = command.split(' ');
      return [vm.threads.find((each) => each.tid === Number(tid))?.label ?? command, cpus];
    }),
  );
}

test('on small nodes the I/O thread gets a CPU near the device, and each vCPU a core of its own', () => {
  const vm = roaming(6, { memory: spread(0, 1, 2, 3), deviceNodes: [2] });
  assert.deepEqual(placed(vm), {
    'iothread:io0': '16',
    vcpu0: '18',
    vcpu1: '20',
    vcpu2: '22',
    vcpu3: '0',
    vcpu4: '2',
    vcpu5: '4',
  });
});

test('vCPUs do not leave the node of their memory for a core of their own', () => {
  const vm = roaming(5, { memory: spread(1), deviceNodes: [1] });
  const nodes = Object.values(placed(vm)).map((cpu) => NPS4.nodeOf.get(Number(cpu)));
  assert.deepEqual(nodes, [1, 1, 1, 1, 1, 1]);
});

test('a node whose cores all belong to other threads is no place: nobody loses a pin for a nearer device', () => {
  const web = vmOf([thread('vcpu0', [8], [8]), thread('iothread:io0', [10], [10])], {
    memory: spread(1),
    deviceNodes: [0],
  });
  const full = vmOf(
    [0, 2, 4, 6].map((cpu, i) => thread(`vcpu${i}`, [cpu], [cpu])),
    { vm: 'full', pid: 7, memory: spread(0) },
  );
  const { steps, left } = planFor(hostOf(NPS4, [web, full]), web);
  assert.deepEqual([steps, left.map(({ thread: label }) => label)], [[], ['iothread:io0']]);
  assert.match(left[0]?.why ?? '', /the device is on node 0; no permitted CPU is free$/);
});

test('threads on any of the nodes with the memory of a large VM do not drift', () => {
  const on = (...cpus: number[]) =>
    vmOf(
      cpus.map((cpu, i) => thread(`vcpu${i}`, [cpu], [cpu])),
      { memory: spread(0, 1, 2, 3) },
    );
  assert.deepEqual(kinds(NPS4, on(0, 8, 16, 24)), []);
  assert.deepEqual(kinds(NPS4, on(0, 32)), ['vcpu1 cross_node']);
});
