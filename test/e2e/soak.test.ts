import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ROOT } from '../../testing/daemon.ts';
import { faketimeLibrary } from '../../testing/faketime.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { canRunGuests } from '../../testing/qemu.ts';
import { canRunTinyVms } from '../../testing/tiny-vm.ts';
import { has, hasTool } from '../../testing/tools.ts';

// The soak of docs/reliability.md, short and with its faults close together. It waits for the report of each fault.
test('a short soak: no counter falls, each fault is reported, descriptors come back, the daemon ends with 0', (context) => {
  if (!canRunGuests(context) || !canRunTinyVms(context)) return;
  if (!has(context, faketimeLibrary() !== undefined, 'apt-get install faketime')) return;
  if (!has(context, process.geteuid?.() === 0, 'mount needs root')) return;
  if (!hasTool(context, 'strace', 'strace')) return;
  const out = temporaryFolder(context);
  const args = ['--minutes=0.5', '--births=5', '--scrapers=10', '--pace=4', `--out=${out}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, [`${ROOT}dist/bench/soak.js`, ...args], {
    encoding: 'utf8',
    timeout: 400_000,
  });
  const text = stdout + stderr;
  assert.equal(status, 0, text);
  for (const fault of ['descriptors', 'hang', 'full log', 'tracefs', 'BPF', 'memory'])
    assert.match(text, new RegExp(`^${fault}: [1-9]\\d* times, reported$`, 'm'));
  assert.match(text, /^clock jumps: [1-9]/m);
  assert.match(text, /^all sources are usable again$/m);
  assert.match(text, /counters that fell: 0$/m);
  assert.match(readFileSync(`${out}/soak.csv`, 'utf8'), /^seconds,rss_mib,descriptors,scrape_ms\n\d/);
});
