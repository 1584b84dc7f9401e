import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACED } from '../../../../exporter/assessment/plan/improvement.ts';

import type { Cpu, CpuTopology } from '../../../../probes/sys-cpu.ts';
import { hostOf, thread, vmOf } from '../../../../testing/observed-vms.ts';
import { planFor } from '../../../../testing/vm-plan.ts';

/** Four E-cores, CPUs 0 to 3, and four P-cores of two threads, CPUs 4 to 11: firmware chooses the order. */
const HYBRID = ((): CpuTopology => {
  const cpus = Array.from({ length: 12 }, (_, cpu): Cpu => {
    const isFast = cpu >= 4;
    const siblings = isFast ? [cpu - (cpu % 2), cpu - (cpu % 2) + 1] : [cpu];
    const capacity = isFast ? 1024 : 580;
    return { cpu, package: 0, core: siblings[0] ?? 0, node: 0, siblings, isolated: false, capacity };
  });
  return {
    cpus,
    nodes: [0],
    nodeOf: new Map(cpus.map(({ cpu }) => [cpu, 0])),
    memoryNodes: [0],
    distances: new Map(),
  };
})();
const ALL = HYBRID.cpus.map(({ cpu }) => cpu);

function commands(vm: ReturnType<typeof vmOf>, ...others: ReturnType<typeof vmOf>[]): string[] {
  return planFor(hostOf(HYBRID, [vm, ...others]), vm, PLACED).steps.flatMap(({ command }) =>
    command.startsWith('taskset') ? [command.split(' ')[2] ?? ''] : [],
  );
}

test('threads get P-cores first, then E-cores, then the second threads of P-cores', () => {
  const roaming = (vcpus: number) =>
    vmOf(
      [...Array.from({ length: vcpus }, (_, i) => `vcpu${i}`), 'iothread:io0'].map((label) =>
        thread(label, ALL),
      ),
    );
  assert.deepEqual(commands(roaming(3)), ['4', '6', '8', '10']);
  assert.deepEqual(commands(roaming(6)), ['4', '6', '8', '10', '0', '1', '2']);
});

test('a thread that loses its P-core gets another, even the second thread of one of its VM, before an E-core', () => {
  const shares = vmOf([thread('vcpu0', [4], [4]), thread('vcpu1', [4], [4])]);
  assert.deepEqual(commands(shares), ['6']);
  const taken = vmOf(
    [6, 8, 10].map((cpu, i) => thread(`vcpu${i}`, [cpu], [cpu])),
    { vm: 'other', pid: 7 },
  );
  assert.deepEqual(commands(shares, taken), ['5']);
});

test('a thread of an E-core may move to any core', () => {
  const shares = vmOf([thread('vcpu0', [1], [1]), thread('vcpu1', [1], [1])]);
  assert.deepEqual(commands(shares), ['0']);
});
