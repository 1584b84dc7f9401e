import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readQemuConfiguration } from '../../../exporter/inventory/qemu-configuration.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

/** Process 10, whose root is a directory of the tree. */
function treeWith(context: TestContext, files: Readonly<Record<string, string>>): HostTree {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm: 'qemu' });
  for (const [path, text] of Object.entries(files)) tree.write(`proc/10/root${path}`, text);
  return tree;
}

async function read(tree: HostTree, argv: readonly string[], isWhole = true) {
  const { options, missing, files } = await readQemuConfiguration(
    tree.host,
    10,
    { argv: ['qemu', ...argv], isWhole },
    5000,
  );
  return {
    options: options.map(({ name, options: map }) => [name, Object.fromEntries(map)]),
    missing,
    files,
  };
}

test('options of a file stand where the file is named', async (context) => {
  const tree = treeWith(context, { '/run/vm.conf': '[device "b"]\ndriver = "virtio-blk"\n' });
  const argv = ['-device', 'driver=x,id=a', '-readconfig', '/run/vm.conf', '-device', 'driver=y,id=c'];
  assert.deepEqual(await read(tree, argv), {
    options: [
      ['device', { driver: 'x', id: 'a' }],
      ['device', { id: 'b', driver: 'virtio-blk' }],
      ['device', { driver: 'y', id: 'c' }],
    ],
    missing: [],
    files: ['/run/vm.conf'],
  });
});

test('a command line that was not read to its end, or has too many options, is incomplete', async (context) => {
  const tree = treeWith(context, {});
  assert.deepEqual((await read(tree, ['-name', 'a'], false)).missing, [
    'its command line is longer than 2 MiB',
  ]);
  const many = Array.from({ length: 20_000 }, () => ['-device', 'x']).flat();
  const { options, missing } = await read(tree, many);
  assert.deepEqual(missing, [`${20_000 - options.length} more options than are kept`]);
});

test('a relative path is below the working directory', async (context) => {
  const tree = treeWith(context, { '/srv/vm.conf': '[name]\nguest = "web"\n' });
  tree.link('proc/10/cwd', '/srv');
  const found = await read(tree, ['-readconfig', 'vm.conf']);
  assert.deepEqual(found, { options: [['name', { guest: 'web' }]], missing: [], files: ['/srv/vm.conf'] });
});

test('a relative path is not read if the working directory is unknown, or is another one now', async (context) => {
  const tree = treeWith(context, { '/srv/vm.conf': '[name]\nguest = "web"\n', '/vm.conf': '[name]\n' });
  const why = '-readconfig vm.conf: not read, as only few files with an absolute path are';
  const unknown = await read(tree, ['-readconfig', 'vm.conf']);
  assert.deepEqual(unknown, { options: [], missing: [why], files: ['vm.conf'] });
  tree.link('proc/10/cwd', '/srv');
  // -daemonize changes to the root directory.
  const daemon = await read(tree, ['-daemonize', '-readconfig', 'vm.conf']);
  assert.deepEqual([daemon.missing, daemon.files], [[why], ['vm.conf']]);
});

test('a file that cannot be read is named with the reason', async (context) => {
  const tree = treeWith(context, {});
  const { missing, files } = await read(tree, ['-readconfig', '/run/gone.conf', '-name', 'a']);
  assert.deepEqual(missing, ['-readconfig /run/gone.conf: ENOENT']);
  assert.deepEqual(files, ['/run/gone.conf']);
});

test('at most eight files are read', async (context) => {
  const names = Array.from({ length: 9 }, (_, i) => `/c${i}`);
  const tree = treeWith(context, Object.fromEntries(names.map((name) => [name, '[name]\nguest = "a"\n'])));
  const { options, missing } = await read(
    tree,
    names.flatMap((name) => ['-readconfig', name]),
  );
  assert.equal(options.length, 8);
  assert.deepEqual(missing, ['-readconfig /c8: not read, as only few files with an absolute path are']);
});
