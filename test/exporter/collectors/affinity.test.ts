import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { affinity } from '../../../exporter/collectors/affinity.ts';
import type { Collection } from '../../../exporter/collectors/collector.ts';
import { exposition } from '../../../exporter/http/exposition.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import type { VmAffinity } from '../../../exporter/model/affinity-reading.ts';
import { DRIFT_KINDS } from '../../../exporter/model/drift.ts';
import type { VmStage } from '../../../exporter/model/stage-reading.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import { SourceError } from '../../../probes/errors.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { parseSamples, type Samples, sample, series } from '../../../testing/metrics.ts';
import { drifts, thread, topologyOf, vmOf } from '../../../testing/observed-vms.ts';
import { readingAt, verdict, verdictsAt } from '../../../testing/verdicts.ts';

const HOST = topologyOf(2, 2, 2);
const THREADS = [
  thread('vcpu0', [0, 1, 2, 3, 4, 5, 6, 7], [1]),
  thread('vcpu1', [3], [3]),
  thread('vcpu2', [0]),
  thread('emulator', [0], [0]),
];
const STAGE: VmStage = readingAt('original', {
  features: new Map([
    ['vcpus_pinned', 0],
    ['sqpoll', 1],
  ]),
  stageChanges: 2,
  phaseChanges: 3,
});

interface Read {
  readonly samples: Samples;
  readonly text: string;
  readonly problems: readonly SourceError[];
}

const collector = affinity();

async function collect(
  where: Partial<VmAffinity> | undefined,
  stage: Partial<VmStage> = {},
  labels = ['web'],
  problems: readonly SourceError[] = [],
  topology: CpuTopology | undefined = HOST,
): Promise<Read> {
  const families = new Families(100_000);
  const found: SourceError[] = [];
  const reading = (vm: string): VmAffinity => {
    const observed = vmOf(THREADS, { vm });
    return {
      observed,
      drifts: drifts(HOST, observed),
      memoryLocal: undefined,
      completions: { cpu: undefined, node: undefined },
      ...where,
    };
  };
  const collection = {
    families,
    vms: labels.map((label, i) => ({ key: `${i}:1`, label }) as Vm),
    affinity: { of: ({ label }: Vm) => (where === undefined ? undefined : reading(label)), problems },
    stages: { of: () => (where === undefined ? undefined : { ...STAGE, ...stage }) },
    topology,
    yieldIfDue: () => Promise.resolve(),
  } as unknown as Collection;
  await collector.collect(collection, (problem) => void found.push(problem));
  let text = '';
  for await (const chunk of exposition(families.sorted(), new Registry(), Registry.PROMETHEUS_CONTENT_TYPE))
    text += chunk;
  return { samples: parseSamples(text), text, problems: found };
}

test('each thread with an expectation has each kind of drift, 0 or 1; the others have none', async () => {
  const { samples } = await collect({});
  const of = (name: string): string[] =>
    series(samples, 'kvm_thread_affinity_drift', { vm: 'web', thread: name });
  assert.deepEqual(
    ['vcpu0', 'vcpu1', 'vcpu2'].map((name) => of(name).length),
    [DRIFT_KINDS.length, DRIFT_KINDS.length, 0],
  );
  const drift = (name: string, kind: string): number =>
    sample(samples, 'kvm_thread_affinity_drift', { vm: 'web', thread: name, kind });
  assert.deepEqual([drift('vcpu0', 'unpinned'), drift('vcpu0', 'mask_changed')], [1, 0]);
  assert.ok(of('vcpu1').every((name) => samples.get(name) === 0));
  assert.equal(sample(samples, 'kvm_vm_affinity_drift_threads', { vm: 'web' }), 1);
});

test('kinds that a host, or a thread, cannot have are left out', async () => {
  const kinds = async (name: string, topology: CpuTopology | undefined): Promise<string[]> => {
    const { samples } = await collect({}, {}, ['web'], [], topology);
    return series(samples, 'kvm_thread_affinity_drift', { thread: name }).map(
      (each) => /kind="(\w+)"/.exec(each)?.[1] ?? '',
    );
  };
  const but = (...absent: string[]): string[] => DRIFT_KINDS.filter((kind) => !absent.includes(kind)).sort();
  assert.deepEqual((await kinds('vcpu0', topologyOf(1, 4, 1))).sort(), but('shared_core', 'cross_node'));
  assert.deepEqual((await kinds('vcpu0', topologyOf(1, 2, 2))).sort(), but('cross_node'));
  assert.deepEqual((await kinds('vcpu0', topologyOf(2, 2, 1))).sort(), but('shared_core'));
  assert.deepEqual((await kinds('emulator', HOST)).sort(), but('shared_cpu', 'shared_core', 'migrating'));
});

test('only known ratios have series', async () => {
  const names = ['kvm_vm_numa_local_ratio', 'kvm_vm_io_completion_local_ratio'];
  const without = await collect({});
  for (const name of names) assert.equal(series(without.samples, name).length, 0);
  const { samples } = await collect({ memoryLocal: 0.25, completions: { cpu: undefined, node: 0 } });
  assert.equal(sample(samples, 'kvm_vm_numa_local_ratio', { vm: 'web' }), 0.25);
  assert.equal(sample(samples, 'kvm_vm_io_completion_local_ratio', { vm: 'web', scope: 'node' }), 0);
});

test('stage, features and changes of a VM', async () => {
  const { samples } = await collect({}, { devices: [{ device: 'vda', locality: 0.5, fairness: undefined }] });
  assert.equal(sample(samples, 'kvm_vm_feature', { vm: 'web', feature: 'vcpus_pinned' }), 0);
  assert.equal(sample(samples, 'kvm_vm_feature', { vm: 'web', feature: 'sqpoll' }), 1);
  assert.deepEqual(series(samples, 'kvm_vm_stage_info'), [
    'kvm_vm_stage_info{vm="web",stage="original",source="detected"}',
  ]);
  assert.equal(sample(samples, 'kvm_vm_stage_changes_total', { vm: 'web' }), 2);
  assert.equal(sample(samples, 'kvm_vm_phase_changes_total', { vm: 'web' }), 3);
  assert.equal(series(samples, 'kvm_vm_phase_info').length, 0);
  assert.equal(sample(samples, 'kvm_vm_queue_locality_ratio', { vm: 'web', device: 'vda' }), 0.5);
  assert.equal(series(samples, 'kvm_vm_queue_fairness_ratio').length, 0);
});

test('a declared phase and its stage are exported beside the detected stage', async () => {
  const { samples } = await collect({}, { phase: 'affinity v2', declared: 'affinity' });
  assert.equal(sample(samples, 'kvm_vm_phase_info', { vm: 'web', phase: 'affinity v2' }), 1);
  assert.equal(sample(samples, 'kvm_vm_stage_info', { stage: 'affinity', source: 'declared' }), 1);
  assert.equal(sample(samples, 'kvm_vm_stage_info', { stage: 'original', source: 'detected' }), 1);
});

test('each technique has one state, its numbers, and why it is unknown', async () => {
  const limit = { threshold: 0.5, wants: 'below' } as const;
  const evidence = { name: 'kicks_per_io', value: 3, ...limit, error: 0.1, seconds: 10, ios: 1000 } as const;
  const verdicts = {
    ...verdictsAt('affinity'),
    exitless_polling: verdict('exitless_polling', {
      state: 'lost',
      since: 1_700_000_000_500,
      changes: new Map([['in_force lost', 2]]),
      evidence: [evidence],
      was: { ...evidence, value: 0.11 },
    }),
    pinned_queues: verdict('pinned_queues', { state: 'unknown', reason: 'idle' }),
  };
  const { samples } = await collect(
    {},
    { verdicts, declared: 'pinned_queues', contradicted: ['exitless_polling'] },
  );
  const polling = { vm: 'web', technique: 'exitless_polling' };
  assert.equal(sample(samples, 'kvm_vm_technique_state', { ...polling, state: 'lost' }), 1);
  assert.equal(series(samples, 'kvm_vm_technique_state', { vm: 'web' }).length, 20);
  const ones = series(samples, 'kvm_vm_technique_state').filter((each) => samples.get(each) === 1);
  assert.equal(ones.length, 4);
  assert.equal(sample(samples, 'kvm_vm_technique_since_timestamp_seconds', polling), 1_700_000_000.5);
  const change = { ...polling, from: 'in_force', to: 'lost' };
  assert.equal(sample(samples, 'kvm_vm_technique_changes_total', change), 2);
  assert.equal(
    sample(samples, 'kvm_vm_technique_evidence_ratio', { ...polling, evidence: 'kicks_per_io' }),
    3,
  );
  const was = { ...polling, evidence: 'kicks_per_io' };
  assert.equal(sample(samples, 'kvm_vm_technique_last_in_force_ratio', was), 0.11);
  const why = { vm: 'web', technique: 'pinned_queues', reason: 'idle' };
  assert.equal(sample(samples, 'kvm_vm_technique_unknown_info', why), 1);
  assert.deepEqual(
    series(samples, 'kvm_vm_phase_contradicted').map((each) => samples.get(each)),
    [0, 1, 0],
    'nothing is claimed of a technique that is unknown',
  );
});

test('names of tenants are escaped, and each VM keeps to its own', async () => {
  const evil = 'a"} 1\nkvm_vm_up{vm="b\\';
  const { samples, text } = await collect({}, { phase: evil }, [evil, 'web']);
  const escaped = 'a\\"} 1?kvm_vm_up{vm=\\"b\\\\';
  assert.equal(samples.get(`kvm_vm_phase_info{vm="${escaped}",phase="${escaped}"}`), 1);
  assert.equal(samples.get(`kvm_thread_affinity_drift{vm="${escaped}",thread="vcpu0",kind="unpinned"}`), 1);
  assert.doesNotMatch(text, /^kvm_vm_up/m);
  assert.equal(series(samples, 'kvm_vm_affinity_drift_threads').length, 2);
});

test('a VM that was not read yet has no values; failures are reported', async () => {
  const problem = new SourceError('malformed', '/proc/1/status', 'x');
  const { text, problems } = await collect(undefined, {}, ['web'], [problem]);
  assert.doesNotMatch(text, /vm="web"/);
  assert.deepEqual(problems, [problem]);
});
