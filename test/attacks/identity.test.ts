import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startDaemon } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { has, which } from '../../testing/tools.ts';

const NAME = 'kvm-telemetry-attack';

/** A user's program whose arguments and thread name are those of QEMU. */
async function impostor(context: TestContext, argv: readonly string[]): Promise<ChildProcess> {
  const folder = temporaryFolder(context);
  const script = join(folder, 'impostor.py');
  writeFileSync(
    script,
    "import sys,time\nopen('/proc/self/comm','w').write('qemu-system-x86')\nprint('ready',flush=True)\ntime.sleep(600)\n",
    { mode: 0o755 },
  );
  const child = spawn('python3', [script, ...argv], {
    argv0: 'qemu-system-x86_64',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  return child;
}

test("a user's program with QEMU's arguments and thread name is not a VM", async (context) => {
  if (!has(context, which('python3') !== undefined, 'python3 is missing: apt-get install python3')) return;
  await impostor(context, ['-name', `guest=${NAME}`, '-accel', 'tcg', '-m', '64']);
  const daemon = await startDaemon(context);
  const text = await daemon.metrics();
  assert.match(text, /^kvm_telemetry_collector_success\{collector="inventory"\} 1$/m);
  assert.ok(!text.includes(NAME), 'the impostor is shown as a VM');
});
