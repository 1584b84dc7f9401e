import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatVmReport, reportOn, type VmFacts, type VmReport } from '../../../exporter/doctor/vm.ts';
import type { Stage } from '../../../exporter/metrics/stages.ts';
import type { VmAffinity } from '../../../exporter/model/affinity-reading.ts';
import { missingFor, nextRule } from '../../../exporter/model/next-stage.ts';
import type { ObservedThread, ObservedVm } from '../../../exporter/model/observed.ts';
import type { VmStage } from '../../../exporter/model/stage-reading.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import type { VmStatistics } from '../../../exporter/model/vm-statistics.ts';
import type { Disk } from '../../../probes/sys-block.ts';
import { drifts, hostOf, thread, topologyOf, vmOf } from '../../../testing/observed-vms.ts';
import { readingAt, verdict, verdictsAt } from '../../../testing/verdicts.ts';
import { planFor } from '../../../testing/vm-plan.ts';

/** CPUs 0-3 on node 0, 4-7 on node 1. */
const NUMA = topologyOf(2, 4, 1);
const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

interface Made {
  readonly threads?: readonly ObservedThread[];
  readonly observed?: Partial<ObservedVm>;
  readonly vm?: Partial<Vm>;
  readonly stage?: Partial<VmStage>;
  readonly others?: readonly ObservedVm[];
  readonly at?: Stage;
}

const THREADS = [
  thread('vcpu0', [1], [1], { tid: 11, seenOn: [1] }),
  thread('vcpu1', ALL, [2], { tid: 12, seenOn: [6, 2] }),
  thread('iothread:io0', [5], undefined, { tid: 13, seenOn: [5] }),
];

function report({
  threads = THREADS,
  observed = {},
  vm = {},
  stage = {},
  others = [],
  at = 'original',
}: Made = {}): VmReport {
  const seen = vmOf(threads, {
    deviceNodes: [1],
    memory: new Map([
      [0, 3 * 2 ** 20],
      [1, 2 ** 20],
    ]),
    ...observed,
  });
  const stageOf = readingAt(at, {
    features: new Map([
      ['vcpus_pinned', 0],
      ['io_threads_pinned', 1],
      ['io_separate_from_vcpus', 1],
    ]) as VmStage['features'],
    devices: [{ device: 'vda', locality: 0.5, fairness: undefined }],
    ...stage,
  });
  const rule = nextRule(stageOf);
  const goals = rule === undefined ? [] : missingFor(rule, stageOf.features);
  const ids = vm.iothreadIds ?? [];
  const facts: VmFacts = {
    vm: {
      label: 'web',
      pid: 99,
      blockDevices: [{ device: 'nvme0n1', depth: 0 }],
      unknownDevices: ['/tank is on zfs'],
      iothreadIds: [],
      ...vm,
    } as unknown as Vm,
    affinity: { observed: seen, drifts: drifts(NUMA, seen) } as unknown as VmAffinity,
    stage: stageOf,
    statistics: {
      disks: [
        { name: 'vda', queues: 4, iothreads: ['io0', 'io0'] },
        { name: 'vdb', queues: undefined, iothreads: undefined },
      ],
    } as unknown as VmStatistics,
    topology: NUMA,
    disks: [{ name: 'nvme0n1', node: 1 } as Disk],
    cpuQuotas: { quotas: [], unknown: [] },
    visibility: new Map([
      ['io', ['vhost_user']],
      ['kicks', []],
    ]),
    plan: planFor(
      hostOf(NUMA, [seen, ...others]),
      seen,
      goals,
      ids.map((id) => ({ id, pollMaxSeconds: 0 })),
    ),
  };
  return reportOn(facts);
}

test('the report has all facts of a VM', () => {
  const { threads, drifts: wrong, next, plan: _, ...rest } = report();
  assert.deepEqual(threads[0], {
    thread: 'vcpu0',
    tid: 11,
    allowed: '1',
    cpu: '1',
    node: '0',
    expected: '1 (baseline)',
  });
  assert.deepEqual(threads[1], {
    thread: 'vcpu1',
    tid: 12,
    allowed: '0-7',
    cpu: '2,6',
    node: '0-1',
    expected: '2 (baseline)',
  });
  assert.equal(threads[2]?.expected, '');
  const { techniques, ...others } = rest;
  assert.deepEqual(
    techniques.map(({ technique, state }) => `${technique} ${state}`),
    ['affinity off', 'exitless_polling off', 'parallel_batching off', 'pinned_queues off'],
  );
  assert.deepEqual(others, {
    vm: 'web',
    pid: 99,
    memory: { 0: 3 * 2 ** 20, 1: 2 ** 20 },
    devices: [{ device: 'nvme0n1', node: 1 }],
    unknownDevices: ['/tank is on zfs'],
    disks: [
      { disk: 'vda', queues: 4, iothreads: ['io0', 'io0'] },
      { disk: 'vdb', queues: undefined, iothreads: [] },
    ],
    queues: [{ device: 'vda', locality: 0.5, fairness: undefined }],
    cpuQuotas: { quotas: [], unknown: [] },
    visibility: {
      visible: 'kicks',
      hidden: [
        'requests of its disks and their duration: another process serves its disk by vhost-user: count the I/Os there (SPDK: bdev_get_iostat)',
      ],
      unexamined:
        "its requests in the host's block layer, the queue of each kick, interrupts, reasons of exits, idle vCPUs",
    },
    features: { vcpus_pinned: 0, io_threads_pinned: 1, io_separate_from_vcpus: 1 },
    stage: 'original',
    phase: undefined,
    unknown: undefined,
  });
  assert.equal(wrong.find(({ kind }) => kind === 'unpinned')?.fix, 'taskset -pc 2 12');
  assert.deepEqual([next?.stage, next?.section], ['affinity', '4.1.2']);
});

test('a drift and a missing feature have one fix, which is a step of the plan', () => {
  const { drifts: wrong, next, plan } = report();
  assert.deepEqual(next?.steps, [{ missing: 'vcpus_pinned', fixes: ['taskset -pc 2 12'] }]);
  assert.deepEqual(new Set(wrong.map(({ fix }) => fix)), new Set(['taskset -pc 2 12']));
  assert.deepEqual(plan, {
    steps: [
      {
        what: 'pin',
        command: 'taskset -pc 2 12',
        undo: 'taskset -pc 0-7 12',
        vm: 'web',
        threads: ['vcpu1'],
      },
    ],
    undo: ['taskset -pc 0-7 12'],
    left: [],
  });
});

test('without a baseline the expected affinity of a pinned thread is unknown', () => {
  const unknown = { expectation: { cpus: [1], source: 'unknown' } } as const;
  const unpinned = { expectation: { cpus: ALL, source: 'unpinned' } } as const;
  const made = report({
    threads: [thread('vcpu0', [1], [1], unknown), thread('vcpu1', ALL, ALL, unpinned)],
  });
  assert.deepEqual(
    made.threads.map(({ expected }) => expected),
    ['unknown', 'not pinned'],
  );
  const text = formatVmReport(made);
  assert.match(text, /expected affinity unknown \(vcpu0\): no baseline of this VM in --state.dir/);
  assert.match(text, /^no drift that can be seen without a baseline$/m);
});

test('the last stage has nothing missing', () => {
  const made = report({ at: 'pinned_queues', threads: [thread('vcpu0', [1], [1])] });
  assert.equal(made.next, undefined);
  assert.match(formatVmReport(made), /\nno drift\n$/);
});

test('the text has a table, the drift with its fix, and the missing conditions', () => {
  const text = formatVmReport(
    report({
      at: 'affinity',
      stage: {
        phase: 'exitless v2',
        contradicted: ['exitless_polling'],
        verdicts: {
          ...verdictsAt('affinity', { affinity: 'partly' }),
          exitless_polling: verdict('exitless_polling', {
            state: 'lost',
            since: 1_700_000_000_000,
            settings: ['poll-max-ns of io0: 0'],
          }),
        },
      },
    }),
  );
  const lines = text.split('\n');
  assert.deepEqual(lines.slice(0, 6), [
    'web (pid 99)',
    '',
    'thread        tid  allowed CPUs  on CPU  node  expected CPUs',
    'vcpu0         11   1             1       0     1 (baseline)',
    'vcpu1         12   0-7           2,6     0-1   2 (baseline)',
    'iothread:io0  13   5             5       1',
  ]);
  for (const line of [
    'memory    node 0: 3 MiB, node 1: 1 MiB',
    'device    nvme0n1, node 1',
    'device    unknown: /tank is on zfs',
    'hidden    requests of its disks and their duration: another process serves its disk by vhost-user: count the I/Os there (SPDK: bdev_get_iostat)',
    'visible   kicks, CPU time, waits and affinity of its threads',
    'disk      vda: 4 queues, served by io0',
    'disk      vdb: ? queues, served by the main loop',
    'queues    vda: locality 0.50, fairness ?',
    'features  -vcpus_pinned +io_threads_pinned +io_separate_from_vcpus',
    'stage     affinity partly',
    '          affinity: partly since 1970-01-01T00:00:00Z',
    '          polling: lost since 2023-11-14T22:13:20Z: configured: poll-max-ns of io0: 0',
    'phase     exitless v2 (contradicted: exitless_polling is lost)',
    'drift:',
    '  vcpu1: unpinned: on CPUs 0-7 instead of 2 (baseline)',
    '    fix: taskset -pc 2 12',
    'missing for affinity (section 4.1.2 of the paper):',
    '  vcpus_pinned',
    'plan (run in this order; undo in the reverse order, kvm-telemetry accept last):',
    '  1. taskset -pc 2 12',
    '     undo: taskset -pc 0-7 12',
  ])
    assert.ok(lines.includes(line), line);
});

test("a tenant's name cannot move the cursor, begin a line, or become a command", () => {
  const evil = '\u001b[2J\u009b31m\rvm\ndrift: \u202erm';
  const made = report({
    at: 'affinity',
    vm: { label: evil, blockDevices: [{ device: evil, depth: 0 }], iothreadIds: [evil] },
    threads: [thread('vcpu0', [1], [2], { label: `iothread:${evil}` }), ...THREADS],
    observed: { vm: evil, domain: `${evil}; reboot` },
    stage: {
      phase: evil,
      devices: [{ device: evil, locality: 1, fairness: 1 }],
      features: new Map([['iothread_polling', 0]]) as VmStage['features'],
    },
  });
  const text = formatVmReport(made);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
  assert.equal(text.split('\n').filter((line) => line.startsWith('drift:')).length, 1);
  assert.match(text, /^\\u\{1b\}\[2J\\u\{9b\}31m\\u\{d\}vm\\u\{a\}drift: \\u\{202e\}rm \(pid 99\)$/m);
  const virsh = text.split('\n').filter((line) => line.includes('virsh'));
  assert.ok(virsh.length > 0);
  for (const line of virsh) assert.doesNotMatch(line, /reboot/);
});

test('no command of a report is empty', () => {
  for (const detected of ['original', 'affinity', 'exitless_polling', 'parallel_batching'] as const) {
    for (const threads of [THREADS, []]) {
      const made = report({ threads, at: detected, stage: { features: new Map() } });
      const commands = [
        ...made.drifts.flatMap(({ fix }) => fix ?? []),
        ...(made.next?.steps.flatMap(({ fixes }) => fixes) ?? []),
      ];
      assert.ok(commands.length > 0);
      for (const command of commands) assert.match(command, /\S/);
    }
  }
});

test('a VM that is not pinned has no drift because it has no expected affinity', () => {
  const text = formatVmReport(report({ threads: [thread('vcpu0', ALL, ALL)] }));
  assert.match(text, /\nnot pinned, so no drift\n/);
});
