import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { memoryFolder } from '../../../exporter/cli/memory-folder.ts';

test('the folder of a killed process is removed by the next one, and a folder in use is not', (context) => {
  const mine = memoryFolder('kt-test-memory-');
  context.after(() => mine.remove());
  const { pid } = spawnSync('true');
  const dead = join(dirname(mine.path), `kt-test-memory-${pid}-abcdef`);
  const other = join(dirname(mine.path), 'kt-test-memory-1-abcdef');
  for (const path of [dead, other]) mkdirSync(join(path, 'proc'), { recursive: true });
  context.after(() => rmSync(other, { recursive: true }));
  const next = memoryFolder('kt-test-memory-');
  assert.equal(existsSync(dead), false);
  assert.equal(existsSync(mine.path), true);
  assert.equal(existsSync(other), true);
  next.remove();
  assert.equal(existsSync(next.path), false);
});
