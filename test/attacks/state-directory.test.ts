import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { has } from '../../testing/tools.ts';

const NOBODY = 65_534;

function setUp(context: TestContext) {
  const folder = temporaryFolder(context);
  const directory = (name: string, mode: number, owner = process.geteuid?.() ?? 0): string => {
    const path = join(folder, name);
    mkdirSync(path);
    chownSync(path, owner, owner);
    chmodSync(path, mode);
    return path;
  };
  const rootfs = hostTree(context).folder;
  const run = (state: string, ...args: string[]): Promise<{ code: number; errors: string }> =>
    new Promise((resolve) => {
      const env = { PATH: process.env['PATH'], KVM_TELEMETRY_PATH_ROOTFS: rootfs };
      const all = [`${ROOT}dist/exporter/main.js`, ...args, `--state.dir=${state}`];
      execFile(process.execPath, all, { env, timeout: 60_000 }, (error, _, errors) =>
        resolve({ code: error === null ? 0 : Number(error.code), errors }),
      );
    });
  return { folder, directory, run };
}

test('every command rejects a state directory that others can write to, and prints the fix', async (context) => {
  const { directory, run, folder } = setUp(context);
  if (!has(context, process.geteuid?.() === 0, 'only root may give a directory away')) return;
  const theirs = directory('theirs', 0o755, NOBODY);
  const open = directory('open', 0o777);
  symlinkSync(open, join(folder, 'link'));
  for (const [path, reason] of [
    [open, /may be written by others \(mode 777\): chmod go-w /],
    [directory('group', 0o770), /may be written by others \(mode 770\): chmod go-w /],
    [join(folder, 'link'), /may be written by others/],
    [theirs, /belongs to another user \(uid 65534\): chown 0 /],
  ] as const) {
    for (const command of [['phase', 'set', 'web', 'x'], ['once']]) {
      const { code, errors } = await run(path, ...command);
      assert.equal(code, 2, errors);
      assert.match(errors, /^kvm-telemetry: --state\.dir: [^\n]+\n$/);
      assert.match(errors, reason);
    }
    assert.deepEqual(readdirSync(path), []);
  }
});

test('in a sticky directory of root only our own files are read', async (context) => {
  const { directory, run } = setUp(context);
  if (!has(context, process.geteuid?.() === 0, 'only root may give a file away')) return;
  const sticky = directory('sticky', 0o1777);
  const planted = join(sticky, 'phases.json');
  writeFileSync(planted, '{"phases":{}}\n');
  chownSync(planted, NOBODY, NOBODY);
  const { code, errors } = await run(sticky, 'phase', 'set', 'web', 'x');
  assert.equal(code, 1);
  assert.match(errors, /it belongs to another user \(uid 65534\)/);
  rmSync(planted);
  assert.equal((await run(sticky, 'phase', 'set', 'web', 'x')).code, 0);
});

test('links are not followed, and files that killed writers left are removed', async (context) => {
  const { directory, run, folder } = setUp(context);
  const state = directory('state', 0o755);
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'untouched');
  // The names that versions before this one used.
  for (let pid = 1; pid < 3000; pid++) symlinkSync(victim, join(state, `phases.json.${pid}.tmp`));
  const left = join(state, 'phases.json.0011223344556677.tmp');
  writeFileSync(left, '{');
  utimesSync(left, 1, 1);
  assert.equal((await run(state, 'phase', 'set', 'web', 'x')).code, 0);
  assert.equal(readFileSync(victim, 'utf8'), 'untouched');
  assert.equal(existsSync(left), false);

  rmSync(join(state, '.lock'));
  symlinkSync(victim, join(state, '.lock'));
  const { code, errors } = await run(state, 'phase', 'set', 'web', 'y');
  assert.equal(code, 1);
  assert.match(errors, /ELOOP/);
});
