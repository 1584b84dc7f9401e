import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { TraceInstance } from '../../../exporter/trace/instance.ts';
import { tracefsWriter } from '../../../exporter/trace/writer.ts';
import { SourceError } from '../../../probes/errors.ts';
import { hostTree } from '../../../testing/host-tree.ts';
import { type SimulatedTracefs, simulatedTracefs } from '../../../testing/simulated-tracefs.ts';

const OWN = 'kvm-telemetry-7';
const EXITS = 'hist:keys=common_pid,exit_reason:size=16384';

function setUp(context: TestContext, pid = 7) {
  const tracefs = simulatedTracefs(context);
  return { tracefs, instance: new TraceInstance(tracefs.host, tracefs.writer, pid) };
}

/** Leftovers of a process that was killed during a latency measurement. */
async function crash(tracefs: SimulatedTracefs, pid: number): Promise<void> {
  const instance = new TraceInstance(tracefs.host, tracefs.writer, pid);
  await instance.create();
  await instance.define('exit', 'pid_t pid; u64 lat');
  await instance.add('kvm/kvm_exit', EXITS);
  await instance.add('kvm/kvm_exit', 'hist:keys=common_pid:t0=common_timestamp,p0=common_pid:size=4096');
  const action = `onmatch(kvm.kvm_exit).trace(${instance.syntheticPrefix}exit,$p0,$lat)`;
  await instance.add('kvm/kvm_entry', `hist:keys=common_pid:lat=common_timestamp-$t0:size=4096:${action}`);
  // A second one builds in the reverse order, so that no order of the files suits both.
  await instance.add('kvm/kvm_entry', 'hist:keys=common_pid:t1=common_timestamp,p1=common_pid:size=4096');
  const back = `onmatch(kvm.kvm_entry).trace(${instance.syntheticPrefix}exit,$p1,$in)`;
  await instance.add('kvm/kvm_exit', `hist:keys=common_pid:in=common_timestamp-$t1:size=4096:${back}`);
  await instance.add(
    `synthetic/${instance.syntheticPrefix}exit`,
    'hist:keys=pid:vals=hitcount,lat:size=4096',
  );
}

test('instances and synthetic events of dead processes are removed, those of live processes stay', async (context) => {
  const { tracefs, instance } = setUp(context);
  tracefs.tree.process({ pid: 30, comm: 'node' });
  await crash(tracefs, 30);
  await crash(tracefs, 20);
  assert.deepEqual(tracefs.synthetic(), ['kvm_telemetry_30_exit', 'kvm_telemetry_20_exit']);
  const theirs = tracefs.allTriggers('kvm-telemetry-30');
  assert.equal(theirs.length, 6);
  assert.deepEqual(await instance.create(), []);
  assert.deepEqual(tracefs.instances().sort(), ['kvm-telemetry-30', OWN]);
  assert.deepEqual(tracefs.allTriggers('kvm-telemetry-30'), theirs);
  assert.deepEqual(tracefs.synthetic(), ['kvm_telemetry_30_exit']);
});

test('an earlier process with the same pid, as in a container, counts as dead', async (context) => {
  const { tracefs, instance } = setUp(context);
  tracefs.tree.process({ pid: 7, comm: 'node' });
  await crash(tracefs, 7);
  assert.deepEqual(await instance.create(), []);
  assert.deepEqual(tracefs.allTriggers(), []);
  assert.deepEqual(tracefs.synthetic(), []);
});

test('instances, triggers and synthetic events of other programs stay', async (context) => {
  const { tracefs, instance } = setUp(context);
  const root = tracefs.host.roots.tracefs;
  for (const name of ['x', 'kvm-telemetry-x', 'kvm-telemetry-', 'my-kvm-telemetry-20']) {
    await tracefs.writer.makeDirectory(`${root}/instances/${name}`);
  }
  await tracefs.writer.append(`${root}/instances/x/events/kvm/kvm_exit/trigger`, EXITS);
  for (const name of ['wakeup', 'kvm_telemetry_x', 'my_kvm_telemetry_20_exit'])
    await tracefs.writer.append(`${root}/synthetic_events`, `${name} u64 lat`);
  await instance.create();
  await instance.add('kvm/kvm_exit', EXITS);
  assert.deepEqual(await instance.destroy(), []);
  assert.deepEqual(tracefs.instances().sort(), [
    'kvm-telemetry-',
    'kvm-telemetry-x',
    'my-kvm-telemetry-20',
    'x',
  ]);
  assert.equal(tracefs.triggers('kvm/kvm_exit', 'x').length, 1);
  assert.deepEqual(tracefs.synthetic(), ['wakeup', 'kvm_telemetry_x', 'my_kvm_telemetry_20_exit']);
});

test('destroy removes everything, in the order of the dependencies', async (context) => {
  const { tracefs, instance } = setUp(context);
  await crash(tracefs, 7);
  assert.ok(instance.exists);
  assert.deepEqual(await instance.destroy(), []);
  assert.deepEqual([tracefs.instances(), tracefs.synthetic(), instance.exists], [[], [], false]);
  assert.deepEqual(await instance.destroy(), [], 'nor is it a problem that nothing is there');
});

test('an instance that cannot be removed is reported, and the others are removed', async (context) => {
  const { tracefs, instance } = setUp(context);
  tracefs.tree.process({ pid: 20, comm: 'node' });
  await crash(tracefs, 20);
  await crash(tracefs, 21);
  tracefs.tree.remove('proc/20');
  tracefs.refuse(/^rmdir kvm-telemetry-20$/, 'EBUSY');
  const problems = await instance.create();
  assert.deepEqual(
    problems.map(({ kind, path, reason }) => [kind, path.split('/').at(-1), reason]),
    [['failed', 'kvm-telemetry-20', 'EBUSY']],
  );
  assert.deepEqual(tracefs.instances().sort(), ['kvm-telemetry-20', OWN]);
});

test('a folder that is not a tracefs is refused and stays unchanged', async (context) => {
  const tree = hostTree(context);
  const instance = new TraceInstance(tree.host, tracefsWriter, 7);
  await assert.rejects(instance.create(), { name: 'SourceError', kind: 'absent' });
  const instances = join(tree.folder, 'sys/kernel/tracing/instances');
  mkdirSync(instances, { recursive: true });
  await assert.rejects(instance.create(), { kind: 'absent', reason: /not a tracefs/ });
  assert.deepEqual(readdirSync(instances), []);
});

test('the writer appends to existing files and creates none', async (context) => {
  const tree = hostTree(context);
  tree.write('x', 'a\n');
  const path = join(tree.folder, 'x');
  await tracefsWriter.append(path, 'b');
  assert.equal(tree.host.text(path), 'a\nb\n');
  await assert.rejects(tracefsWriter.append(`${path}y`, 'b'), {
    name: 'SourceError',
    kind: 'absent',
    path: `${path}y`,
  });
  await assert.rejects(tracefsWriter.makeDirectory(path), { name: 'SourceError', reason: 'EEXIST' });
  await assert.rejects(tracefsWriter.removeDirectory(path), { name: 'SourceError', kind: 'absent' });
});

test('the error of a refused trigger quotes error_log', async (context) => {
  const { instance } = setUp(context);
  await instance.create();
  await assert.rejects(instance.add('kvm/kvm_exit', 'hist:keys=nonsense:size=2048'), (error) => {
    assert.ok(error instanceof SourceError && error.kind === 'failed');
    assert.match(error.path, /instances\/kvm-telemetry-7\/events\/kvm\/kvm_exit\/trigger$/);
    assert.match(
      error.reason,
      /^EINVAL: hist:kvm:kvm_exit: error: Couldn't find field; Command: hist:keys=nonsense/,
    );
    return true;
  });
  await assert.rejects(instance.add('kvm/kvm_exit', `${EXITS} if ${'x'.repeat(5000)}`), {
    kind: 'failed',
    reason: /^EINVAL: hist:kvm/,
  });
});

test('the error says if error_log has no reason; EPERM is passed on as it is', async (context) => {
  const { tracefs, instance } = setUp(context);
  await instance.create();
  const end = tracefs.refuse(/kvm_exit hist/, 'ENOMEM');
  await assert.rejects(instance.add('kvm/kvm_exit', EXITS), {
    kind: 'failed',
    reason: /^ENOMEM: no reason in error_log: hist:keys/,
  });
  end();
  tracefs.refuse(/kvm_exit hist/, 'EPERM');
  await assert.rejects(instance.add('kvm/kvm_exit', EXITS), { kind: 'denied', reason: 'EPERM' });
});

test('the error of a refused synthetic event quotes the error_log of the whole tracefs', async (context) => {
  const { tracefs, instance } = setUp(context);
  await instance.create();
  await instance.add('kvm/kvm_exit', 'hist:keys=nonsense:size=2048').catch(() => undefined);
  tracefs.refuse(/^synthetic_events kvm/, 'EINVAL', 'Field type or name is invalid');
  await assert.rejects(instance.define('exit', 'odd pid'), {
    reason: /Field type or name is invalid.*kvm_telemetry_7_exit odd pid/,
  });
});

test('an event or a field that this kernel does not have is absent', async (context) => {
  const { instance } = setUp(context);
  await instance.create();
  instance.checkEvent('kvm/kvm_exit', ['exit_reason', 'isa']);
  assert.throws(() => instance.checkEvent('kvm/kvm_exit', ['exit_reason', 'esr_ec']), {
    kind: 'absent',
    reason: /no field esr_ec/,
  });
  assert.throws(() => instance.checkEvent('kvm/kvm_nothing', []), {
    kind: 'absent',
    reason: /no such tracepoint/,
  });
});

test('clearing a map needs the trigger’s filter, and removes its counts', async (context) => {
  const { tracefs, instance } = setUp(context);
  await instance.create();
  const spec = 'hist:keys=common_pid,gpa.hex:size=4096 if type == 2 && len == 2';
  await instance.add('kvm/kvm_mmio', spec);
  tracefs.hit('kvm/kvm_mmio', 'common_pid,gpa.hex', [1, 4096], 5);
  assert.deepEqual(
    instance.read('kvm/kvm_mmio').map(({ hits, entries }) => [hits, entries]),
    [[5, 1]],
  );
  await instance.clear('kvm/kvm_mmio', spec);
  assert.deepEqual(
    instance.read('kvm/kvm_mmio').map(({ hits, entries }) => [hits, entries]),
    [[0, 0]],
  );
  assert.equal(tracefs.triggers('kvm/kvm_mmio').length, 1);
  await instance.remove('kvm/kvm_mmio', spec);
  assert.deepEqual(tracefs.triggers('kvm/kvm_mmio'), []);
  assert.deepEqual(instance.read('kvm/kvm_mmio'), []);
});
