import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../testing/folder.ts';
import { hostTree } from '../../testing/host-tree.ts';

const open = (): number => readdirSync('/proc/self/fd').length;

test('no descriptor is left open by a read that fails, whatever fails', async (context) => {
  const { host } = hostTree(context);
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, 'directory'));
  writeFileSync(join(folder, 'large'), Buffer.alloc(2 * 1024 * 1024, '1'));
  const failing = [join(folder, 'none'), join(folder, 'directory'), join(folder, 'large'), '/proc/self/mem'];
  // libuv opens its own descriptors at the first read off the main thread.
  await host.slowText('/proc/self/cmdline', 1e6, 10_000);
  const before = open();
  let failures = 0;
  const fails = (): void => {
    failures++;
  };
  for (let round = 0; round < 20; round++) {
    for (const path of failing) {
      for (const read of [host.attribute, host.decimal, host.text, host.entries, host.link]) {
        try {
          read(path);
        } catch {
          fails();
        }
      }
      await host.slowText(path, 1000, 10_000).catch(fails);
      await host.slowStat(`${path}/x`, 10_000).catch(fails);
    }
  }
  assert.ok(failures > 300, String(failures));
  assert.equal(open(), before);
});
