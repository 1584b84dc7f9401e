import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Baselines } from '../../../../exporter/assessment/affinity/baselines.ts';
import { temporaryFolder } from '../../../../testing/folder.ts';

const VMS = new Set(['10:1000', '20:2000']);

function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const log: string[] = [];
  const note = (_: object, message: string): void => void log.push(message);
  return {
    log,
    folder,
    path: join(folder, 'baselines.json'),
    open: (boot = 'b1', learns = true, directory = folder) =>
      new Baselines(directory, boot, { info: note, warn: note }, learns),
  };
}

test('learned masks survive a restart, by VM and thread', async (context) => {
  const { open } = setUp(context);
  const before = open();
  before.learn('10:1000', 'vcpu0', '1');
  before.learn('10:1000', 'iothread:__proto__', '2-3');
  before.learn('20:2000', 'vcpu0', '0-511');
  before.learn('20:2000', 'vcpu0', '4');
  await before.keep(VMS);
  const after = open();
  assert.equal(after.of('10:1000', 'vcpu0'), '1');
  assert.equal(after.of('10:1000', 'iothread:__proto__'), '2-3');
  assert.equal(after.of('20:2000', 'vcpu0'), '4');
  assert.equal(after.of('20:2000', 'vcpu1'), undefined);
  assert.equal(after.of('constructor', 'name'), undefined);
});

test('VMs that ended are forgotten, also in the file', async (context) => {
  const { open, path } = setUp(context);
  const baselines = open();
  for (const vm of VMS) baselines.learn(vm, 'vcpu0', '1');
  await baselines.keep(VMS);
  await baselines.keep(new Set(['20:2000']));
  assert.equal(baselines.of('10:1000', 'vcpu0'), undefined);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), {
    boot: 'b1',
    vms: { '20:2000': { vcpu0: '1' } },
    accepted: {},
  });
});

test('the file is written only after a change', async (context) => {
  const { open, path } = setUp(context);
  const baselines = open();
  await baselines.keep(VMS);
  assert.equal(existsSync(path), false);
  baselines.learn('10:1000', 'vcpu0', '1');
  await baselines.keep(VMS);
  rmSync(path);
  baselines.learn('10:1000', 'vcpu0', '1');
  await baselines.keep(VMS);
  assert.equal(existsSync(path), false);
});

test('masks of another boot, or of an unknown boot, are not used', async (context) => {
  const { open } = setUp(context);
  for (const boot of ['b1', '']) {
    const before = open(boot);
    before.learn('10:1000', 'vcpu0', '1');
    await before.keep(VMS);
    assert.equal(open('b2').of('10:1000', 'vcpu0'), undefined);
    assert.equal(open('').of('10:1000', 'vcpu0'), undefined);
  }
});

test('a command beside the daemon reads the learned masks, and writes nothing', async (context) => {
  const { open, path } = setUp(context);
  const daemon = open();
  daemon.learn('10:1000', 'vcpu0', '1');
  await daemon.keep(VMS);
  const text = readFileSync(path, 'utf8');
  const command = open('b1', false);
  assert.equal(command.of('10:1000', 'vcpu0'), '1');
  command.learn('20:2000', 'vcpu0', '2');
  await command.keep(new Set(['20:2000']));
  assert.equal(command.of('20:2000', 'vcpu0'), '2');
  assert.equal(readFileSync(path, 'utf8'), text);
});

test('a corrupt file is set aside with one warning', async (context) => {
  for (const text of [
    '{',
    '{"boot":"b1"}',
    '{"boot":"b1","vms":{"10:1000":{"vcpu0":"3-1"}}}',
    '{"boot":"b1","vms":{"10:1000":{"vcpu0":"1;2"}}}',
    '{"boot":"b1","vms":{"10:1000":{"vcpu0":7}}}',
  ]) {
    const { open, path, log } = setUp(context);
    writeFileSync(path, text);
    const baselines = open();
    assert.equal(baselines.of('10:1000', 'vcpu0'), undefined, text);
    assert.equal(readFileSync(`${path}.corrupt`, 'utf8'), text);
    assert.equal(log.length, 1, text);
    baselines.learn('10:1000', 'vcpu0', '1');
    await baselines.keep(VMS);
    assert.equal(open().of('10:1000', 'vcpu0'), '1', text);
  }
});

test('a mask that the schema rejects is not learned, so that the others stay readable', async (context) => {
  const { open, log } = setUp(context);
  const before = open();
  before.learn('10:1000', 'vcpu0', '');
  before.learn('10:1000', `iothread:${'x'.repeat(300)}`, '1');
  const odd = Array.from({ length: 4096 }, (_, i) => 2 * i).join();
  before.learn('10:1000', 'vcpu1', odd);
  await before.keep(VMS);
  assert.equal(open().of('10:1000', 'vcpu1'), odd);
  assert.deepEqual([before.of('10:1000', 'vcpu0'), log], [undefined, []]);
});

test('without a writable directory the learned masks stay in memory, with one warning', async (context) => {
  const { open, path, log } = setUp(context);
  writeFileSync(`${path}.d`, 'a file');
  const baselines = open('b1', true, `${path}.d`);
  for (const cpus of ['1', '2']) {
    baselines.learn('10:1000', 'vcpu0', cpus);
    await baselines.keep(VMS);
    assert.equal(baselines.of('10:1000', 'vcpu0'), cpus);
  }
  assert.deepEqual(log, ['state file cannot be written: state is kept in memory']);
});
