// Gives each test file a folder of its own for temporary files, named after its process: when that process is killed, the
// watchdog ends what it started and removes the folder. Imported before a test file by node's runner.
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
