import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { AffinitySettings } from '../../../exporter/assessment/affinity/watch.ts';
import { Assessment } from '../../../exporter/assessment/assessment.ts';
import type { HostEvent } from '../../../exporter/model/host-event.ts';
import type { Vm } from '../../../exporter/model/vm.ts';
import type { KernelFacts } from '../../../exporter/model/vm-statistics.ts';
import { threadOf, vmOf } from '../../../testing/affinity-host.ts';
import { hostTree } from '../../../testing/host-tree.ts';
import { topologyOf } from '../../../testing/observed-vms.ts';

interface Log {
  readonly level: 'debug' | 'info' | 'warn';
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** One VM with one vCPU, whose mask and configuration are set by hand. */
function setUp(context: TestContext) {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm: 'qemu', threads: [{ tid: 11, comm: 'CPU 0/KVM' }] });
  const directory = `${tree.folder}/state`;
  mkdirSync(directory);
  const log: Log[] = [];
  const add = (level: Log['level']) => (fields: object, message: string) =>
    void log.push({ level, fields: fields as Log['fields'], message });
  let settings: AffinitySettings = { rules: [], learn: true, maxMigrationsPerSecond: 0.5, sampleInterval: 1 };
  const events: HostEvent[] = [];
  const vm: Vm = vmOf();
  const vcpu0 = threadOf(tree, 11, 'vcpu0');
  let kernel: KernelFacts | undefined;
  const assessment = new Assessment(
    {
      host: tree.host,
      watched: {
        vms: [vm],
        disks: [],
        topology: topologyOf(1, 4, 1),
        threadsOf: () => [vcpu0],
        refreshPins: () => undefined,
      },
      logger: {
        debug: add('debug'),
        info: add('info'),
        warn: add('warn'),
      } as unknown as ConstructorParameters<typeof Assessment>[0]['logger'],
      residencyOf: () => undefined,
      lastOf: () => ({
        statistics: undefined,
        facts: undefined,
        kernel,
      }),
      now: () => 0,
      epochMs: () => 0,
      sinceBoot: () => 100,
      stateDirectory: directory,
      learns: true,
      onEvent: (event) => void events.push(event),
    },
    settings,
  );
  return {
    tree,
    directory,
    log,
    events,
    vm,
    assessment,
    configure(more: Partial<AffinitySettings>) {
      settings = { ...settings, ...more };
      assessment.configure(settings);
    },
    async judgeWith(...inhibited: string[]) {
      kernel = { vm: new Map(), apicv: { inhibited: new Set(inhibited), active: new Map() } };
      await assessment.judge(new Map());
    },
    async follow(mask: string) {
      const path = `${tree.folder}/proc/10/task/11/status`;
      writeFileSync(path, readFileSync(path, 'utf8').replace(/(_list:\t).*/, `$1${mask}`));
      await assessment.follow();
    },
  };
}

test('a drift logs one warning with its fix when it begins, and one line when it ends', async (context) => {
  const { log, follow } = setUp(context);
  for (const mask of ['1', '0-3', '0-3', '1', '1']) await follow(mask);
  assert.deepEqual(log, [
    {
      level: 'warn',
      fields: { vm: 'web', thread: 'vcpu0', kind: 'unpinned', fix: 'taskset -pc 1 11' },
      message: 'affinity drift of web vcpu0: unpinned: on CPUs 0-3 instead of 1 (baseline)',
    },
    {
      level: 'info',
      fields: { vm: 'web', thread: 'vcpu0', kind: 'unpinned' },
      message: 'affinity drift of web vcpu0 has ended: unpinned',
    },
  ]);
});

test('configured pins apply from the first check after a reload', async (context) => {
  const { log, follow, configure, assessment, vm } = setUp(context);
  await follow('0-3');
  assert.equal(log.length, 0);
  configure({ rules: [{ vm: 'web', thread: 'vcpu*', cpus: [1, 3] }] });
  await follow('0-3');
  assert.equal(log[0]?.message, 'affinity drift of web vcpu0: unpinned: on CPUs 0-3 instead of 1,3 (config)');
  configure({ rules: [], learn: false });
  await follow('0-3');
  assert.equal(log[1]?.level, 'info');
  assert.deepEqual(assessment.affinity.of(vm)?.drifts, []);
});

test('a change of phase logs one line', async (context) => {
  const { log, follow, assessment, directory, vm } = setUp(context);
  await follow('1');
  await assessment.judge(new Map());
  log.length = 0;
  const since = new Date().toISOString();
  writeFileSync(`${directory}/phases.json`, JSON.stringify({ phases: { web: { phase: 'x', since } } }));
  for (let i = 0; i < 3; i++) await assessment.judge(new Map());
  assert.deepEqual(log, [
    { level: 'info', fields: { vm: 'web', from: undefined, to: 'x' }, message: 'phase of web: none -> x' },
  ]);
  assert.equal(assessment.stages.of(vm)?.phase, 'x');
});

test('a lost technique is a warning and an event; the first verdict is neither', async (context) => {
  const { log, events, follow, assessment } = setUp(context);
  await follow('1');
  await assessment.judge(new Map());
  assert.deepEqual([...new Set(log.map(({ level }) => level))], ['debug']);
  assert.equal(events.length, 0);
  await follow('0-3');
  for (let i = 0; i < 2; i++) await assessment.judge(new Map());
  assert.deepEqual(
    events.filter(({ kind }) => kind.startsWith('technique')),
    [
      {
        kind: 'technique_lost',
        vm: 'web',
        what: 'affinity',
        evidence: '0% of the threads pinned where expected (in force from 100%), was 100%',
      },
    ],
  );
  const losses = log.filter(
    ({ level, message }) => level === 'warn' && message.startsWith('affinity of web'),
  );
  assert.equal(losses.length, 1);
});

test('an APICv inhibit is a warning and an event, and its end an event', async (context) => {
  const { log, events, judgeWith } = setUp(context);
  await judgeWith();
  for (let i = 0; i < 3; i++) await judgeWith('apic_id_modified');
  for (let i = 0; i < 3; i++) await judgeWith();
  assert.deepEqual(
    events.map(({ vm, kind, what }) => [vm, kind, what]),
    [
      ['web', 'apicv_inhibited', 'apic id modified'],
      ['web', 'apicv_works', ''],
    ],
  );
  assert.deepEqual(
    log.map(({ level, message }) => [level, message]),
    [
      ['warn', 'APICv of web is inhibited: apic id modified'],
      ['info', 'APICv of web works again'],
    ],
  );
});

test('without a boot id, earlier baselines are not used', async (context) => {
  const first = setUp(context);
  first.tree.write('proc/sys/kernel/random/boot_id', 'nonsense');
  await first.follow('1');
  assert.equal(JSON.parse(readFileSync(`${first.directory}/baselines.json`, 'utf8')).boot, '');
  assert.deepEqual(first.log, []);
});
