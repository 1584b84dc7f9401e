import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLACED } from '../../../../exporter/assessment/plan/improvement.ts';
import { HostPlans, NO_WANTS, type Wants } from '../../../../exporter/assessment/plan/plans.ts';
import type { ObservedVm } from '../../../../exporter/model/observed.ts';
import { drifts, hostOf, thread, topologyOf, vmOf } from '../../../../testing/observed-vms.ts';
import { run } from '../../../../testing/plan-host.ts';
import { planFor } from '../../../../testing/vm-plan.ts';

const ALL_PLACED: Wants = { goals: PLACED, ioThreads: [] };

/** Eight CPUs; VMs with two vCPUs and an I/O thread each, which may run on all of them. */
const topology = topologyOf(1, 8, 1);
const all = topology.cpus.map(({ cpu }) => cpu);

function unpinned(vm: string, pid: number): ObservedVm {
  const threads = ['vcpu0', 'vcpu1', 'iothread:io'].map((label) => thread(label, all));
  return vmOf(threads, { vm, pid });
}

/** The CPU list of each pin, as `vm thread CPUs`. */
function pinsOf(plans: HostPlans, vms: readonly ObservedVm[], wants: Wants): string[] {
  return vms.flatMap((vm) => {
    const steps = plans.planFor(vm, () => wants)?.steps ?? [];
    return steps
      .filter(({ what }) => what === 'pin')
      .map(({ command, threads }) => `${vm.vm} ${threads.join()} ${command.split(' ')[2]}`);
  });
}

test('the plans of two VMs that are not pinned take different CPUs', () => {
  const vms = [unpinned('a', 1), unpinned('b', 2)];
  const pins = pinsOf(new HostPlans(hostOf(topology, vms)), vms, ALL_PLACED);
  assert.deepEqual(pins, [
    'a vcpu0 0',
    'a vcpu1 1',
    'a iothread:io 2',
    'b vcpu0 3',
    'b vcpu1 4',
    'b iothread:io 5',
  ]);
});

test('the order of the calls does not change the plans', () => {
  const vms = [unpinned('a', 1), unpinned('b', 2)];
  const plans = new HostPlans(hostOf(topology, vms));
  const backwards = pinsOf(plans, vms.toReversed(), ALL_PLACED);
  const forwards = pinsOf(new HostPlans(hostOf(topology, vms)), vms, ALL_PLACED);
  assert.deepEqual(backwards.toSorted(), forwards.toSorted());
});

test('plans that are made one by one are the same', () => {
  const vms = [unpinned('a', 1), unpinned('b', 2)];
  const [, last] = vms;
  const plans = new HostPlans(hostOf(topology, vms));
  let steps = 0;
  if (last !== undefined) while (plans.advance(last, () => ALL_PLACED)) steps++;
  assert.equal(steps, 4, 'two repairs, two plans');
  const atOnce = pinsOf(new HostPlans(hostOf(topology, vms)), vms, ALL_PLACED);
  assert.deepEqual(pinsOf(plans, vms, ALL_PLACED), atOnce);
});

test('without a free CPU, a vCPU stays unpinned, and an I/O thread shares the CPU of another', () => {
  const vms = [unpinned('a', 1), unpinned('b', 2), unpinned('c', 3)];
  const pins = pinsOf(new HostPlans(hostOf(topology, vms)), vms, ALL_PLACED);
  const vcpus = pins.filter((pin) => pin.includes('vcpu')).map((pin) => pin.split(' ')[2]);
  assert.equal(new Set(vcpus).size, vcpus.length);
  assert.deepEqual(
    pins.filter((pin) => pin.startsWith('c ')),
    ['c vcpu0 6', 'c vcpu1 7', 'c iothread:io 2'],
  );
});

test('two VMs that lost their CPUs to others get different new ones, and the same with improvements', () => {
  // The CPUs 0 and 1 of the configuration belong to two threads each.
  const holder = vmOf([thread('vcpu0', [0], [0]), thread('vcpu1', [1], [1])], { vm: 'a', pid: 1 });
  const late = (vm: string, pid: number, cpu: number): ObservedVm =>
    vmOf([thread('vcpu0', [cpu], [cpu])], { vm, pid });
  const vms = [holder, late('b', 2, 0), late('c', 3, 1)];
  const alone = vms.slice(1).map((vm) => planFor(hostOf(topology, vms), vm).steps[0]?.command.split(' ')[2]);
  assert.deepEqual(alone, ['2', '2'], 'each for itself');
  const plans = new HostPlans(hostOf(topology, vms));
  const repairs = vms.map((vm) => plans.repairOf(vm)?.steps.map(({ command }) => command));
  assert.deepEqual(
    vms.map((vm) => plans.planFor(vm, () => NO_WANTS)?.steps.map(({ command }) => command)),
    repairs,
  );
  const after = run(
    topology,
    vms,
    repairs.flatMap((commands) => commands ?? []),
  );
  assert.deepEqual(
    drifts(topology, ...after).map(({ vm, thread: label, kind }) => `${vm} ${label} ${kind}`),
    [],
  );
});
