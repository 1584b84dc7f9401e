// Gives each test file its own folder for temporary files, named after its process. If that process is
// killed, the watchdog kills what it started and removes the folder. node's test runner imports this before
// each test file.
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The runner itself imports it too.
if (process.env.NODE_TEST_CONTEXT !== undefined && process.env.TMPDIR !== undefined) {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const folder = join(tmpdir(), `${process.pid}-${start}`);
  mkdirSync(folder, { mode: 0o755 });
  process.env.TMPDIR = folder;
}
