import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { qemuProcess } from '../../testing/qemu-process.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

function setUp(context: TestContext) {
  const state = temporaryFolder(context);
  const tree = hostTree(context);
  const phase = (...args: string[]): Promise<Outcome> =>
    new Promise((resolve) => {
      const main = [`${ROOT}dist/exporter/main.js`, 'phase', ...args];
      const env = { PATH: process.env['PATH'], KVM_TELEMETRY_PATH_ROOTFS: tree.folder };
      execFile(process.execPath, [...main, `--state.dir=${state}`], { env }, (error, out, errors) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, errors }),
      );
    });
  return { state, tree, phase };
}

test('phases that are set at the same time all reach the daemon', async (context) => {
  const { state, tree, phase } = setUp(context);
  const names = Array.from({ length: 24 }, (_, i) => `vm${i}`);
  names.forEach((name, i) => {
    tree.process(qemuProcess(100 + i, name));
  });
  const daemon = await startDaemon(context, [
    `--path.rootfs=${tree.folder}`,
    `--state.dir=${state}`,
    '--inventory.schedule=* * * * * *',
  ]);
  const outcomes = await Promise.all(names.map((name) => phase('set', name, `of ${name}`)));
  assert.deepEqual(
    outcomes,
    names.map((name) => ({ code: 0, out: `phase of ${name} set to "of ${name}"\n`, errors: '' })),
  );
  const { phases } = JSON.parse(readFileSync(join(state, 'phases.json'), 'utf8')) as { phases: object };
  assert.deepEqual(Object.keys(phases).sort(), [...names].sort());
  for (let i = 0; ; i++) {
    const text = await daemon.metrics();
    if (names.every((name) => text.includes(`kvm_vm_phase_info{vm="${name}",phase="of ${name}"} 1`))) break;
    assert.ok(i < 300, text);
    await sleep(100);
  }
});

test('an unknown VM name is reported with the nearest known name', async (context) => {
  const { tree, phase } = setUp(context);
  tree.process(qemuProcess(100, 'database-1'));
  const { code, errors } = await phase('set', 'databse-1', 'x');
  assert.equal(code, 0);
  assert.match(errors, /no VM "databse-1" is running; .*: did you mean "database-1"\?/);
});
