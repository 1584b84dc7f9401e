import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { newResidency, observe } from '../../../../exporter/model/residency.ts';
import { NO_SNAPSHOT, type ThreadSnapshot } from '../../../../exporter/model/thread-snapshot.ts';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { MaskTexts } from '../../../../probes/bpf/mask-texts.ts';
import { parseThreadRows } from '../../../../probes/bpf/thread-rows.ts';
import type { LibvirtPins } from '../../../../probes/libvirt-domain.ts';
import type { Disk } from '../../../../probes/sys-block.ts';
import { affinityHost, threadOf, vmOf } from '../../../../testing/affinity-host.ts';
import { topologyOf, without } from '../../../../testing/observed-vms.ts';
import { threadRow } from '../../../../testing/thread-rows.ts';

const pinsOf = (cpu: number): LibvirtPins => ({
  vcpus: new Map([[0, [cpu]]]),
  iothreads: new Map(),
  emulator: undefined,
});

test('the first mask of a thread is its expected affinity', async (context) => {
  const { tick, expected } = affinityHost(context);
  assert.equal(expected(), undefined);
  assert.deepEqual(await tick({ 11: '1-2' }), []);
  assert.equal(expected(), '1,2 (baseline)');
});

test('a widened mask is drift at the next tick, is reported once, and ends with the fix', async (context) => {
  const { tick, watch, state } = affinityHost(context);
  await tick({ 11: '2' });
  assert.deepEqual(await tick({ 11: '0-3' }), ['+vcpu0 unpinned']);
  assert.deepEqual(await tick(), []);
  const [drift] = watch.reading.of(state.vms[0] as Vm)?.drifts ?? [];
  assert.equal(drift?.vm, 'web');
  const plan = await watch.planFor(state.vms[0] as Vm);
  assert.deepEqual(
    plan?.steps.map(({ command, undo }) => [command, undo]),
    [['taskset -pc 2 11', 'taskset -pc 0-3 11']],
  );
  assert.deepEqual(await tick({ 11: '2-3' }), ['+vcpu0 mask_widened', '-vcpu0 unpinned']);
  assert.deepEqual(await tick({ 11: '1' }), ['+vcpu0 mask_changed', '-vcpu0 mask_widened']);
  assert.deepEqual(await tick({ 11: '2' }), ['-vcpu0 mask_changed']);
  assert.deepEqual(watch.reading.of(state.vms[0] as Vm)?.drifts, []);
});

test('a vCPU and an I/O thread that move to one CPU share it', async (context) => {
  const { tree, state, tick, vcpu0 } = affinityHost(context);
  state.threads.set('10:1000', [vcpu0, threadOf(tree, 12, 'iothread:io0')]);
  assert.deepEqual(await tick({ 11: '1', 12: '2' }), []);
  assert.deepEqual(await tick({ 12: '1' }), [
    '+vcpu0 shared_cpu',
    '+iothread:io0 mask_changed',
    '+iothread:io0 shared_cpu',
  ]);
  assert.equal((await tick({ 12: '2' })).length, 3);
});

test('a thread pinned to two nodes is one drift while it moves between them, which ends after a minute', async (context) => {
  const { tree, tick, state } = affinityHost(context);
  state.topology = topologyOf(2, 2, 1);
  tree.write('proc/10/numa_maps', '7f00 default anon=4 N0=4 kernelpagesize_kB=4\n');
  const residency = newResidency(1);
  state.residencies.set(11, residency);
  await tick({ 11: '1-2' });
  const changes: string[] = [];
  const seen = async (cpu: number, seconds: number): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      observe(residency, cpu, 1, 8);
      changes.push(...(await tick()).filter((change) => change.includes('cross_node')));
    }
  };
  for (let i = 0; i < 20; i++) {
    await seen(2, 10);
    await seen(1, 10);
  }
  assert.deepEqual(changes, ['+vcpu0 cross_node']);
  await seen(1, 60);
  assert.deepEqual(changes, ['+vcpu0 cross_node', '-vcpu0 cross_node']);
});

test('a thread that is allowed to be unpinned has no wrong node', async (context) => {
  const { tree, tick, state } = affinityHost(context);
  const { cpus, ...more } = topologyOf(2, 3, 1);
  state.topology = { ...more, cpus: cpus.map((cpu) => ({ ...cpu, isolated: cpu.cpu === 0 })) };
  tree.write('proc/10/cgroup', '0::/../hidden\n');
  tree.write('proc/10/numa_maps', '7f00 default anon=4 N0=4 kernelpagesize_kB=4\n');
  state.residencies.set(11, newResidency(4));
  const found = [];
  for (let i = 0; i < 5; i++) found.push(...(await tick({ 11: '1-5' })));
  assert.deepEqual(found, []);
});

test('a mask narrowed by hand is the new pin, and losing that pin is drift', async (context) => {
  const { tick, expected } = affinityHost(context);
  await tick({ 11: '0-3' });
  assert.deepEqual(await tick({ 11: '1-2' }), []);
  assert.equal(expected(), '1,2 (baseline)');
  assert.deepEqual(await tick({ 11: '0-3' }), ['+vcpu0 unpinned']);
  assert.equal(expected(), '1,2 (baseline)');
});

test('a mask narrowed by an offline CPU is no new pin', async (context) => {
  const { state, tick, expected } = affinityHost(context);
  const whole = topologyOf(1, 4, 1);
  await tick({ 11: '0-3' });
  state.topology = without(whole, [3]);
  assert.deepEqual(await tick({ 11: '0-2' }), []);
  assert.equal(expected(), '0,1,2 (unpinned)');
  state.topology = whole;
  // cgroup v1 does not restore the CPU, which is no drift either.
  assert.deepEqual(await tick(), []);
  assert.deepEqual(await tick({ 11: '0-3' }), []);
  assert.equal(expected(), '0,1,2,3 (unpinned)');
});

test('a pin counts while another CPU is offline', async (context) => {
  const { state, tick, expected } = affinityHost(context);
  await tick({ 11: '0-3' });
  state.topology = without(topologyOf(1, 4, 1), [3]);
  await tick({ 11: '1' });
  assert.equal(expected(), '1 (baseline)');
});

test("a mask narrowed by the cgroup's cpuset, wholly or in part, is no new pin", async (context) => {
  const { tree, tick, expected } = affinityHost(context);
  const cpuset = (list: string): void => {
    tree.write('proc/10/task/11/cgroup', '0::/vm\n');
    tree.write('sys/fs/cgroup/vm/cpuset.cpus.effective', `${list}\n`);
  };
  cpuset('0-3');
  await tick({ 11: '1-3' });
  for (const [set, mask] of [
    ['2-3', '2-3'],
    ['0-2', '1-2'],
  ] as const) {
    cpuset(set);
    assert.deepEqual(await tick({ 11: mask }), []);
    assert.equal(expected(), '1,2,3 (baseline)', set);
    cpuset('0-3');
    assert.deepEqual(await tick({ 11: '1-3' }), []);
  }
});

test('a shared pool that shrinks and grows back neither pins nor unpins a thread, whatever the daemon saw first', async (context) => {
  const { tree, state, tick, start, vcpu0, expected } = affinityHost(context);
  state.threads.set('10:1000', [vcpu0, threadOf(tree, 12, 'iothread:io0')]);
  const pool = (list: string): Record<number, string> => {
    for (const tid of [10, 11, 12]) tree.write(`proc/10/task/${tid}/cgroup`, '0::/kubepods/pod\n');
    tree.write('sys/fs/cgroup/kubepods/pod/cpuset.cpus.effective', `${list}\n`);
    return { 11: list, 12: list };
  };
  // An exclusive pod comes, goes, and another one comes: the masks of all others move.
  for (const first of ['0,3', '0-3']) {
    const watch = start(`boot ${first}`);
    for (const list of [first, '0-3', '0,2-3', '0', '0-3', '1-3']) {
      assert.deepEqual(await tick(pool(list), watch), [], `${first}: ${list}`);
    }
    const pin = { ...pool('1-3'), 11: '2' };
    await tick(pin, watch);
    assert.equal(expected('vcpu0', watch), '2 (baseline)');
    assert.deepEqual(await tick({ ...pool('0-3'), 11: '2' }, watch), []);
    assert.deepEqual(await tick(pool('0-3'), watch), ['+vcpu0 unpinned']);
    await tick({ 11: '2' }, watch);
  }
});

test('under isolcpus= a thread that loses its pin gets the CPUs that are not isolated, and is unpinned', async (context) => {
  const { tree, state, tick } = affinityHost(context);
  const whole = topologyOf(1, 8, 1);
  state.topology = { ...whole, cpus: whole.cpus.map((cpu) => ({ ...cpu, isolated: cpu.cpu > 3 })) };
  tree.write('proc/1/status', 'Cpus_allowed_list:\t0-3\n');
  await tick({ 11: '5' });
  assert.deepEqual(await tick({ 11: '0-3' }), ['+vcpu0 unpinned']);
  assert.deepEqual(await tick({ 11: '0-2' }), ['+vcpu0 mask_changed', '-vcpu0 unpinned']);
});

test('in the first 5 s of a VM, a changed mask is a pin, not drift', async (context) => {
  const { state, tick, expected } = affinityHost(context);
  state.seconds = 10;
  await tick({ 11: '0-3' });
  assert.deepEqual(await tick({ 11: '1' }), []);
  assert.deepEqual(await tick({ 11: '2' }), []);
  assert.equal(expected(), '2 (baseline)');
  assert.deepEqual(await tick({ 11: '0-3' }), [], 'and unpinned');
  await tick({ 11: '2' });
  state.seconds = 14;
  assert.deepEqual(await tick({ 11: '3' }), ['+vcpu0 mask_changed']);
});

test('a clock that jumps forwards or backwards makes no VM new', async (context) => {
  const { state, tick } = affinityHost(context);
  await tick({ 11: '1' });
  state.seconds += 1e7;
  assert.deepEqual(await tick(), []);
  state.seconds = 0;
  assert.deepEqual(await tick({ 11: '2' }), ['+vcpu0 mask_changed']);
});

test('the configuration takes precedence over libvirt, and libvirt over the baseline', async (context) => {
  const { state, tick, expected } = affinityHost(context);
  await tick({ 11: '1' });
  state.vms = [vmOf({ manager: 'libvirt', domain: 'web', pins: pinsOf(2) })];
  assert.deepEqual(await tick(), ['+vcpu0 mask_changed']);
  assert.equal(expected(), '2 (libvirt)');
  state.settings = { ...state.settings, rules: [{ vm: 'w*', thread: 'vcpu?', cpus: [1] }] };
  assert.deepEqual(await tick(), ['-vcpu0 mask_changed']);
  assert.equal(expected(), '1 (config)');
});

test('without baselines only configured pins are expected, and no file is written', async (context) => {
  const { tree, state, tick, expected } = affinityHost(context);
  state.settings = { ...state.settings, learn: false };
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '0-3' }), []);
  assert.equal(expected(), undefined);
  assert.throws(() => readFileSync(`${tree.folder}/state/baselines.json`), { code: 'ENOENT' });
  state.settings = { ...state.settings, learn: true };
  await tick();
  assert.equal(expected(), '0,1,2,3 (unpinned)');
  state.settings = { ...state.settings, learn: false };
  await tick();
  assert.equal(expected(), undefined);
});

test('a pin that libvirt moved is read before the check, so it is no drift', async (context) => {
  const { state, tick, expected } = affinityHost(context);
  let reads = 0;
  let pinned = 1;
  state.vms = [vmOf({ manager: 'libvirt', domain: 'web', pins: pinsOf(1) })];
  state.refreshPins = () => {
    reads++;
    state.vms = [{ ...(state.vms[0] as Vm), pins: pinsOf(pinned) }];
  };
  await tick({ 11: '1' });
  assert.equal(reads, 0);
  pinned = 2;
  assert.deepEqual(await tick({ 11: '2' }), []);
  assert.equal(expected(), '2 (libvirt)');
  // By hand, past libvirt.
  assert.deepEqual(await tick({ 11: '3' }), ['+vcpu0 mask_changed']);
});

test("libvirt's state is read again one second after a thread moved, as libvirt writes it later", async (context) => {
  const { state, tick } = affinityHost(context);
  let pinned = 1;
  state.vms = [vmOf({ manager: 'libvirt', domain: 'web', pins: pinsOf(1) })];
  state.refreshPins = () => {
    state.vms = [{ ...(state.vms[0] as Vm), pins: pinsOf(pinned) }];
  };
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '2' }), ['+vcpu0 mask_changed']);
  pinned = 2;
  assert.deepEqual(await tick(), ['-vcpu0 mask_changed']);
});

test("a changed mask of a VM without libvirt does not read libvirt's state", async (context) => {
  const { state, tick } = affinityHost(context);
  state.refreshPins = () => assert.fail('libvirt was asked');
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '2' }), ['+vcpu0 mask_changed']);
});

test('a reused thread id is another thread: it neither drifts nor inherits a baseline', async (context) => {
  const { tree, state, tick, expected } = affinityHost(context);
  await tick({ 11: '1' });
  assert.deepEqual(await tick({ 11: '2' }), ['+vcpu0 mask_changed']);
  state.threads.set('10:1000', [threadOf(tree, 11, 'iothread:io0', 5000)]);
  assert.deepEqual(await tick(), ['-vcpu0 mask_changed']);
  assert.deepEqual([expected('iothread:io0'), expected('vcpu0')], ['2 (baseline)', undefined]);
});

test('an exited VM is forgotten, and its next start has a new baseline', async (context) => {
  const { tree, state, tick, watch, expected, vcpu0 } = affinityHost(context);
  const [old] = state.vms as [Vm];
  await tick({ 11: '1' });
  state.vms = [];
  await tick();
  assert.equal(watch.reading.of(old), undefined);
  assert.doesNotMatch(readFileSync(`${tree.folder}/state/baselines.json`, 'utf8'), /10:1000/);
  state.vms = [vmOf({ key: '10:9000', startTime: 9000 })];
  state.threads.set('10:9000', [vcpu0]);
  assert.deepEqual(await tick({ 11: '3' }), []);
  assert.equal(expected(), '3 (baseline)');
});

test('the first masks of all threads are read at once, and more than 500 again in turns', async (context) => {
  const { tree, state, tick, watch, mask } = affinityHost(context);
  const threads = Array.from({ length: 2500 }, (_, i) => threadOf(tree, 1000 + i, `vcpu${i}`));
  for (const { tid } of threads) mask(tid, '0-1');
  state.threads.set('10:1000', threads);
  await tick();
  assert.equal(watch.reading.of(state.vms[0] as Vm)?.observed.threads.length, 2500);
  mask(1000, '0-3');
  mask(3499, '0-3');
  const turns: number[] = [];
  for (let i = 0; i < 5; i++) turns.push((await tick()).length);
  assert.deepEqual(turns, [1, 0, 0, 0, 1]);
});

test('masks from one read of the kernel are all checked at once, for any number of threads', async (context) => {
  const { tree, state, watch, mask } = affinityHost(context);
  const threads = Array.from({ length: 2500 }, (_, i) => threadOf(tree, 1000 + i, `vcpu${i}`));
  for (const { tid } of threads) mask(tid, '0-1');
  state.threads.set('10:1000', threads);
  const snapshot = (widened: readonly number[]): ThreadSnapshot => {
    const rows = threads.map(({ tid }) => {
      const allowed = widened.includes(tid) ? [0, 1, 2, 3] : [0, 1];
      return threadRow({ pid: 10, tid, start: 1000, allowed });
    });
    const tasks = new Map(
      parseThreadRows(Buffer.concat(rows), 'rows', new MaskTexts(4)).map((task) => [task.tid, task]),
    );
    return { ...NO_SNAPSHOT, of: ({ tid }) => tasks.get(tid) };
  };
  await watch.tick(snapshot([]));
  await watch.tick(snapshot([1000, 3499]));
  assert.deepEqual(
    watch.reading.of(state.vms[0] as Vm)?.drifts.map(({ thread, kind }) => `${thread} ${kind}`),
    ['vcpu0 unpinned', 'vcpu2499 unpinned'],
  );
});

test('an unreadable status is a problem and affects only its thread', async (context) => {
  const { tree, state, tick, watch, vcpu0, expected } = affinityHost(context);
  state.threads.set('10:1000', [
    threadOf(tree, 12, 'vcpu1'),
    threadOf(tree, 13, 'vcpu2'),
    threadOf(tree, 14, 'vcpu3'),
    vcpu0,
  ]);
  tree.write('proc/10/task/12/status', 'nonsense\n');
  // 13 has ended, which is no problem.
  await tick({ 11: '1', 14: '3-1' });
  assert.deepEqual(
    watch.reading.problems.map(({ kind }) => kind),
    ['malformed', 'malformed'],
  );
  assert.equal(expected(), '1 (baseline)');
  await tick({ 12: '2', 14: '3' });
  assert.deepEqual([watch.reading.problems, expected('vcpu1')], [[], '2 (baseline)']);
});

function diskOn(...nodes: readonly (number | undefined)[]): Disk {
  const carriers = nodes.map((node, i) => ({
    name: i === 0 ? 'nvme0n1' : `nvme0c${i}n1`,
    controller: 'nvme0',
    node,
  }));
  return { name: 'nvme0n1', controllers: ['nvme0'], carriers, hidden: false } as unknown as Disk;
}

test('a disk with paths on two nodes is on both, and nowhere if the node of one is unknown', async (context) => {
  const { state, tick, watch } = affinityHost(context);
  state.vms = [vmOf({ blockDevices: [{ device: 'nvme0n1', depth: 0 }] })];
  const nodesOf = async (disk: Disk): Promise<unknown> => {
    state.disks = [disk];
    await tick({ 11: '1' });
    return watch.reading.of(state.vms[0] as Vm)?.observed.deviceNodes;
  };
  assert.deepEqual(await nodesOf(diskOn(0, 1)), [0, 1]);
  assert.deepEqual(await nodesOf(diskOn(0, undefined)), []);
});

test('unreadable interrupts are a problem until they can be read', async (context) => {
  const { tree, state, tick, watch } = affinityHost(context);
  state.disks = [diskOn(undefined)];
  tree.write('proc/interrupts', 'nonsense\n');
  await tick({ 11: '1' });
  await tick();
  assert.equal(watch.reading.problems.length, 1);
  tree.write('proc/interrupts', '           CPU0       CPU1\n');
  for (let i = 0; i < 30; i++) await tick();
  assert.deepEqual(watch.reading.problems, []);
});

test('masks of 512 CPUs are learned and saved', async (context) => {
  const { state, tick, expected, start } = affinityHost(context);
  state.topology = topologyOf(2, 128, 2);
  const odd = Array.from({ length: 256 }, (_, i) => 2 * i + 1).join();
  await tick({ 11: odd });
  const after = start();
  assert.deepEqual(await tick({ 11: '0-511' }, after), ['+vcpu0 unpinned']);
  assert.equal(expected('vcpu0', after), `${odd} (baseline)`);
});

test('baselines survive a restart of the daemon, but not a reboot', async (context) => {
  const { tick, start, expected, mask } = affinityHost(context);
  await tick({ 11: '1' });
  mask(11, '0-3');
  assert.deepEqual(await tick({}, start()), ['+vcpu0 unpinned']);
  const rebooted = start('boot-2');
  assert.deepEqual(await tick({}, rebooted), []);
  assert.equal(expected('vcpu0', rebooted), '0,1,2,3 (unpinned)');
});

test('an invalid state file is set aside, and the baseline is learned again', async (context) => {
  const { tree, tick, start, expected } = affinityHost(context);
  await tick({ 11: '1' });
  const path = `${tree.folder}/state/baselines.json`;
  for (const nonsense of ['3-1', '0-99999999', '65536', '1,,2', '']) {
    writeFileSync(path, readFileSync(path, 'utf8').replace(/"vcpu0":"[^"]*"/, `"vcpu0":"${nonsense}"`));
    const after = start();
    assert.deepEqual(await tick({ 11: '1' }, after), [], nonsense);
    assert.equal(expected('vcpu0', after), '1 (baseline)', nonsense);
    assert.equal(JSON.parse(readFileSync(`${path}.corrupt`, 'utf8')).vms['10:1000'].vcpu0, nonsense);
  }
});

test('without a topology there is no result', async (context) => {
  const { state, tick, watch } = affinityHost(context);
  state.topology = undefined;
  await tick({ 11: '1' });
  assert.equal(watch.reading.of(state.vms[0] as Vm), undefined);
  state.topology = topologyOf(1, 4, 1);
  assert.deepEqual(await tick({ 11: '2' }), []);
  assert.deepEqual(await tick({ 11: '3' }), ['+vcpu0 mask_changed']);
});

test('a thread that moves within its mask is detected by its samples', async (context) => {
  const { state, tick } = affinityHost(context);
  const residency = newResidency(0);
  for (let i = 0; i < 20; i++) observe(residency, i % 2, 1, 16);
  state.residencies.set(11, residency);
  assert.deepEqual(await tick({ 11: '0-1' }), ['+vcpu0 migrating']);
});

test('a thread that sleeps since its mask changed is not reported on a CPU outside its mask', async (context) => {
  const { state, tick, watch } = affinityHost(context);
  const residency = newResidency(0);
  for (const cpu of [1, 2]) observe(residency, cpu, 1, 16);
  state.residencies.set(11, residency);
  await tick({ 11: '2-3' });
  assert.deepEqual(watch.reading.of(state.vms[0] as Vm)?.observed.threads[0]?.seenOn, [2]);
});

test('memory and completions are compared with the CPUs of the threads', async (context) => {
  const { tree, state, tick, watch, vcpu0 } = affinityHost(context);
  state.topology = topologyOf(2, 2, 1);
  state.vms = [vmOf({ blockDevices: [{ device: 'nvme0n1', depth: 0 }] })];
  state.disks = [diskOn(1)];
  state.threads.set('10:1000', [vcpu0, threadOf(tree, 12, 'iothread:io0')]);
  state.residencies.set(11, newResidency(0)).set(12, newResidency(3));
  tree.write('proc/10/numa_maps', '7f00 default anon=4 N0=3 N1=1 kernelpagesize_kB=4\n');
  tree.write('proc/interrupts', '   CPU0 CPU1 CPU2 CPU3\n 30: 0 0 1 0 PCI-MSI 1-edge nvme0q1\n');
  tree.write('proc/irq/30/effective_affinity_list', '2\n');
  tree.write('sys/block/nvme0n1/mq/0/cpu_list', '0, 1, 2, 3\n');
  await tick({ 11: '0', 12: '3' });
  const reading = watch.reading.of(state.vms[0] as Vm);
  assert.equal(reading?.memoryLocal, 0.75);
  assert.deepEqual(reading?.completions, { cpu: 0, node: 1 });
  assert.deepEqual([reading?.observed.deviceNodes, reading?.observed.interruptCpus], [[1], [2]]);
});
