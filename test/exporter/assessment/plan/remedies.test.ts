import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Remedy, remediesFor } from '../../../../exporter/assessment/plan/remedies.ts';
import { STAGES, type Stage } from '../../../../exporter/metrics/stages.ts';
import type { Feature } from '../../../../exporter/model/features.ts';
import { missingFor, nextRule } from '../../../../exporter/model/next-stage.ts';
import type { ObservedThread, ObservedVm } from '../../../../exporter/model/observed.ts';
import type { VmStage } from '../../../../exporter/model/stage-reading.ts';
import { hostOf, thread, topologyOf, vmOf } from '../../../../testing/observed-vms.ts';
import { readingAt } from '../../../../testing/verdicts.ts';
import { planFor } from '../../../../testing/vm-plan.ts';

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];
const T = (label: string, allowed: readonly number[], tid: number): ObservedThread =>
  thread(label, allowed, undefined, { tid });

function stageOf(detected: Stage, features: Partial<Record<Feature, number>>): VmStage {
  return readingAt(detected, { features: new Map(Object.entries(features)) as VmStage['features'] });
}

/** The remedies on a host with eight CPUs. Another VM uses all CPUs except the free ones. */
function steps(
  stage: VmStage,
  threads: readonly ObservedThread[],
  free: readonly number[],
  more: Partial<ObservedVm & { iothreadIds: string[] }> = {},
): Remedy[] {
  const rule = nextRule(stage);
  assert.ok(rule);
  const { iothreadIds, ...observed } = more;
  const vm = vmOf(threads, observed);
  const own = threads.flatMap(({ allowed }) => (allowed.length === 1 ? allowed : []));
  const taken = ALL.filter((cpu) => !free.includes(cpu) && !own.includes(cpu));
  const other = vmOf(
    taken.map((cpu) => thread(`vcpu${cpu}`, [cpu])),
    { vm: 'other' },
  );
  const seen = threads.flatMap(({ role, label }) =>
    role === 'iothread' ? [label.replace('iothread:', '')] : [],
  );
  const ioThreads = (iothreadIds ?? seen).map((id) => ({ id, pollMaxSeconds: 0 }));
  const missing = missingFor(rule, stage.features);
  return remediesFor(missing, planFor(hostOf(topologyOf(1, 8, 1), [vm, other]), vm, missing, ioThreads));
}

const fixes = (found: readonly Remedy[], missing: Feature): readonly string[] | undefined =>
  found.find((step) => step.missing === missing)?.fixes;

test('each stage has the following one as its next stage, and the last one has none', () => {
  assert.deepEqual(
    STAGES.map((stage) => nextRule(stageOf(stage, {}))?.stage),
    [...STAGES.slice(1), undefined],
  );
});

test('each thread without a CPU of its own gets one, and the same in each step', () => {
  const threads = [T('vcpu0', ALL, 11), T('vcpu1', [1], 12), T('iothread:io0', ALL, 13)];
  const found = steps(
    stageOf('original', { vcpus_pinned: 0, io_threads_pinned: 0, io_separate_from_vcpus: 0 }),
    threads,
    [4, 5],
  );
  assert.deepEqual(found, [
    { missing: 'vcpus_pinned', fixes: ['taskset -pc 4 11'] },
    { missing: 'io_threads_pinned', fixes: ['taskset -pc 5 13'] },
    { missing: 'io_separate_from_vcpus', fixes: ['taskset -pc 5 13'] },
  ]);
});

test('an I/O thread is pinned to a CPU that no vCPU may use', () => {
  const stage = stageOf('original', { vcpus_pinned: 1, io_threads_pinned: 1, io_separate_from_vcpus: 0 });
  const vcpus = [T('vcpu0', [0, 1, 2], 11), T('vcpu1', [0, 1, 2], 12)];
  const found = steps(stage, [...vcpus, T('iothread:io0', [1], 13), T('vhost0', [7], 14)], [0, 1, 2, 3]);
  assert.deepEqual(found, [{ missing: 'io_separate_from_vcpus', fixes: ['taskset -pc 3 13'] }]);
});

test('an I/O thread that has its CPU stays when the vCPUs are pinned elsewhere', () => {
  const stage = stageOf('original', { vcpus_pinned: 0, io_threads_pinned: 1, io_separate_from_vcpus: 0 });
  const found = steps(stage, [T('vcpu0', ALL, 11), T('iothread:io0', [2], 13)], [3]);
  assert.deepEqual(fixes(found, 'vcpus_pinned'), ['taskset -pc 3 11']);
  assert.deepEqual(fixes(found, 'io_separate_from_vcpus'), ['taskset -pc 3 11']);
});

test('in a VM without I/O threads the emulator is pinned', () => {
  const found = steps(
    stageOf('original', { vcpus_pinned: 1, io_separate_from_vcpus: 1 }),
    [T('vcpu0', [0], 11), T('emulator', ALL, 10)],
    [5],
    { domain: 'web' },
  );
  assert.deepEqual(found, [{ missing: 'io_threads_pinned', fixes: ['virsh emulatorpin web 5 --live'] }]);
});

test('a host without enough free CPUs is reported, and so is a VM with unknown threads', () => {
  const stage = stageOf('original', { io_threads_pinned: 1, io_separate_from_vcpus: 1 });
  const none = ['none: no permitted CPU is free'];
  assert.deepEqual(fixes(steps(stage, [T('vcpu0', ALL, 1), T('vcpu1', ALL, 2)], [3]), 'vcpus_pinned'), none);
  assert.deepEqual(fixes(steps(stage, [T('vcpu0', [0], 1)], []), 'vcpus_pinned'), [
    'none: no thread has to move',
  ]);
  const unknown = ['unknown: the VM has no such threads, or the exporter cannot identify them'];
  assert.deepEqual(fixes(steps(stage, [], [3]), 'vcpus_pinned'), unknown);
});

test("each thread gets a CPU of its cpuset, and with libvirt one of the VM's cpuset", () => {
  const stage = stageOf('original', { io_threads_pinned: 1, io_separate_from_vcpus: 1 });
  const confined = (cpuset: readonly number[]) => [{ ...T('vcpu0', ALL, 1), cpuset }, T('vcpu1', ALL, 2)];
  const commands = (cpuset: readonly number[]) =>
    fixes(steps(stage, confined(cpuset), [3, 2]), 'vcpus_pinned');
  assert.deepEqual(commands([2]), ['taskset -pc 2 1', 'taskset -pc 3 2']);
  assert.deepEqual(commands([0]), ['none: no permitted CPU is free']);
});

test('unknown features are missing, but only features that are off rule out the node', () => {
  const threads = [T('vcpu0', [0], 11), T('iothread:io0', [1], 12)];
  const on = { vcpus_pinned: 1, io_threads_pinned: 1, io_separate_from_vcpus: 1 };
  assert.deepEqual(
    steps(stageOf('original', { ...on, numa_local: 0 }), threads, ALL).map(({ missing }) => missing),
    ['numa_local'],
  );
  const { io_threads_pinned: _, ...unknown } = on;
  assert.deepEqual(
    steps(stageOf('original', unknown), threads, ALL).map(({ missing }) => missing),
    ['io_threads_pinned'],
  );
});

test('polling is enabled for each IOThread, by virsh if libvirt numbers it, else by QMP', () => {
  const threads = [T('vcpu0', [0], 11), T('iothread:iothread1', [1], 12)];
  const stage = stageOf('affinity', { iothread_polling: 0 });
  const ask = (more: Parameters<typeof steps>[3]): readonly string[] | undefined =>
    fixes(steps(stage, threads, [], more), 'iothread_polling');
  assert.deepEqual(ask({ domain: 'web', iothreadIds: ['iothread1', 'iothread2'] }), [
    'virsh iothreadset web 1 --poll-max-ns 32768 --live',
    'virsh iothreadset web 2 --poll-max-ns 32768 --live',
  ]);
  const qmp =
    'QMP {"execute":"qom-set","arguments":{"path":"/objects/iothread1","property":"poll-max-ns","value":32768}}';
  assert.deepEqual(ask({}), [qmp]);
  const hostile = 'io"}, {"execute":"quit"}';
  const [command = ''] = ask({ iothreadIds: [hostile] }) ?? [];
  assert.equal(JSON.parse(command.slice(4)).arguments.path, `/objects/${hostile}`);
  const uuid = '8f1c0c6c-9a43-4a3e-8d3f-0a8c9f6e0f10';
  assert.deepEqual(ask({ domain: 'a; reboot', iothreadIds: ['iothread1'] }), [
    `virsh iothreadset ${uuid} 1 --poll-max-ns 32768 --live`,
  ]);
  const without = fixes(steps(stage, [T('vcpu0', [0], 11)], []), 'iothread_polling');
  assert.match(without?.[0] ?? '', /^restart the VM with an IOThread: /);
});

test('if all features are on, the measurements are missing', () => {
  const [step] = steps(stageOf('affinity', { iothread_polling: 1 }), [], []);
  assert.deepEqual(step, {
    missing: 'measurements that confirm the features',
    fixes: ['check kvm_vm_io_path_events_total and kvm_vm_queue_locality_ratio under load'],
  });
});

test('the fix requests a queue for each vCPU, and at least two', () => {
  const ask = (detected: Stage, feature: Feature, vcpus: number): string | undefined => {
    const threads = Array.from({ length: vcpus }, (_, i) => T(`vcpu${i}`, [i], i + 1));
    return fixes(steps(stageOf(detected, { dedicated_iothreads: 1 }), threads, []), feature)?.[0];
  };
  assert.match(ask('exitless_polling', 'multiqueue', 4) ?? '', /num-queues=4;.*queues='4'/);
  assert.match(ask('exitless_polling', 'multiqueue', 1) ?? '', /num-queues=2;/);
  assert.match(ask('parallel_batching', 'queue_per_vcpu', 1) ?? '', /num-queues=1;/);
  assert.match(ask('parallel_batching', 'queue_per_vcpu', 0) ?? '', /num-queues=1;/);
});

test('each missing condition of each stage has a fix', () => {
  for (const detected of STAGES) {
    if (nextRule(stageOf(detected, {})) === undefined) continue;
    for (const threads of [[], [T('vcpu0', ALL, 1), T('iothread:io0', ALL, 2)]]) {
      const found = steps(stageOf(detected, { numa_local: 0 }), threads, ALL);
      assert.ok(found.length > 0);
      for (const { missing, fixes: commands } of found) {
        assert.ok(commands.length > 0, missing);
        for (const command of commands) assert.match(command, /\S/, missing);
      }
    }
  }
});

test('a VM with unknown threads gets no command', () => {
  const stage = stageOf('original', { vcpus_pinned: 0, io_threads_pinned: 0, io_separate_from_vcpus: 0 });
  const unknown = ['unknown: the VM has no such threads, or the exporter cannot identify them'];
  const none = steps(stage, [], [1, 2]);
  for (const feature of ['vcpus_pinned', 'io_threads_pinned', 'io_separate_from_vcpus'] as const)
    assert.deepEqual(fixes(none, feature), unknown, feature);
  const withoutIo = steps(stage, [T('vcpu0', ALL, 11)], [1, 2]);
  assert.deepEqual(fixes(withoutIo, 'vcpus_pinned'), ['taskset -pc 1 11']);
  assert.deepEqual(fixes(withoutIo, 'io_threads_pinned'), unknown);
  assert.deepEqual(fixes(withoutIo, 'io_separate_from_vcpus'), unknown);
});

test("an I/O thread with a vCPU's CPU in its mask is moved", () => {
  const stage = stageOf('original', { vcpus_pinned: 1, io_threads_pinned: 1, io_separate_from_vcpus: 0 });
  const threads = [T('vcpu0', [0], 11), T('iothread:io0', [0, 5], 13), T('iothread:io1', [6], 14)];
  assert.deepEqual(fixes(steps(stage, threads, [3]), 'io_separate_from_vcpus'), ['taskset -pc 3 13']);
});
