import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isKvmVm, ProcessScanner } from '../../../exporter/inventory/processes.ts';
import { SourceError } from '../../../probes/errors.ts';
import { PF_KTHREAD } from '../../../probes/proc-task-stat.ts';
import { type FakeProcess, type HostTree, hostTree } from '../../../testing/host-tree.ts';

const KVM_VM = 'anon_inode:kvm-vm';
const NOBODY: ReadonlySet<number> = new Set();

function treeWith(context: TestContext, ...processes: readonly FakeProcess[]): HostTree {
  const tree = hostTree(context);
  for (const process of processes) tree.process(process);
  return tree;
}

async function pids(
  scanner: ProcessScanner,
  tree: HostTree,
  full: boolean,
  { suspects = NOBODY, vms = [] as string[] } = {},
): Promise<number[]> {
  const isVm = (pid: number, startTime: number): boolean => vms.includes(`${pid}:${startTime}`);
  const { candidates } = await scanner.scan(tree.host, full, isVm, suspects);
  return candidates.map(({ pid }) => pid);
}

test('a candidate has a descriptor of KVM, the lowest of them, or QEMU as its program', async (context) => {
  const tree = treeWith(
    context,
    { pid: 10, comm: 'sandboxd', fds: { 3: '/dev/null', 9: KVM_VM, 5: KVM_VM } },
    { pid: 20, comm: 'x', executable: '/usr/bin/qemu-system-x86_64' },
    { pid: 30, comm: 'firecracker', executable: '/usr/bin/firecracker' },
    { pid: 40, comm: 'sh', fds: { 3: '/dev/kvm' } },
  );
  const { candidates, problems } = await new ProcessScanner().scan(tree.host, true, () => false, NOBODY);
  assert.deepEqual(
    candidates.map(({ pid, kvmFd, stat: { comm } }) => [pid, kvmFd, comm]),
    [
      [10, 5, 'sandboxd'],
      [20, undefined, 'x'],
    ],
  );
  assert.deepEqual(problems, []);
});

test('zombies, kernel threads and VMs that are known are no candidates', async (context) => {
  const fds = { 5: KVM_VM };
  const tree = treeWith(
    context,
    { pid: 10, comm: 'a', state: 'Z', fds },
    { pid: 20, comm: 'b', state: 'X', fds },
    { pid: 30, comm: 'c', flags: PF_KTHREAD, fds },
    { pid: 40, comm: 'd', startTime: 7, fds },
    { pid: 50, comm: 'e', startTime: 8, fds },
  );
  assert.deepEqual(await pids(new ProcessScanner(), tree, true, { vms: ['40:7', '50:7'] }), [50]);
});

test('a quick pass checks new processes and suspects, and no others', async (context) => {
  const tree = treeWith(context, { pid: 10, comm: 'a' }, { pid: 20, comm: 'b' });
  const scanner = new ProcessScanner();
  assert.deepEqual(await pids(scanner, tree, true), []);
  for (const pid of [10, 20, 30]) tree.process({ pid, comm: 'a', fds: { 5: KVM_VM } });
  assert.deepEqual(await pids(scanner, tree, false), [30]);
  assert.deepEqual(await pids(scanner, tree, false, { suspects: new Set([20]) }), [20]);
  assert.deepEqual(await pids(scanner, tree, true), [10, 20, 30]);
});

/** Readings of the descriptors of process 10. */
function counted(tree: HostTree): { tree: HostTree; count(): number } {
  let count = 0;
  const host = {
    ...tree.host,
    entries: (path: string) => {
      if (path.endsWith('/proc/10/fd')) count++;
      return tree.host.entries(path);
    },
  };
  return { tree: { ...tree, host }, count: () => count };
}

async function readsIn(passes: number, tree: HostTree): Promise<number> {
  const counting = counted(tree);
  const scanner = new ProcessScanner();
  for (let pass = 0; pass < passes; pass++) await pids(scanner, counting.tree, true);
  return counting.count();
}

/** Enough processes that the sweep reaches process 10 only once in several passes. */
function crowd(context: TestContext, ten: FakeProcess): HostTree {
  const others = Array.from({ length: 600 }, (_, i) => ({ pid: 100 + i, comm: 'sleep' }));
  return treeWith(context, ten, ...others);
}

test('an ordinary process is read while it is young, then once in each round over all processes', async (context) => {
  const tree = crowd(context, { pid: 10, comm: 'sh' });
  assert.equal(await readsIn(6, tree), 6);
  // 601 processes, 256 in a pass: passes 1, 4, 7, 10 and 13 reach the first.
  assert.equal(await readsIn(15, tree), 6 + 3);
});

test('a process with the name or the program of a VMM is read in each pass', async (context) => {
  assert.equal(await readsIn(15, crowd(context, { pid: 10, comm: 'firecracker' })), 15);
  const renamed = { pid: 10, comm: 'vmm', executable: '/usr/bin/crosvm' };
  assert.equal(await readsIn(15, crowd(context, renamed)), 15);
});

test('a pid that is used again, or has a new name, is a new process', async (context) => {
  const tree = crowd(context, { pid: 10, comm: 'sh' });
  const scanner = new ProcessScanner();
  for (let pass = 0; pass < 8; pass++) await pids(scanner, tree, true);
  tree.process({ pid: 10, comm: 'sh', startTime: 2000, fds: { 5: KVM_VM } });
  assert.deepEqual(await pids(scanner, tree, true), [10]);
  tree.process({ pid: 10, comm: 'sh', startTime: 3000 });
  for (let pass = 0; pass < 8; pass++) await pids(scanner, tree, true);
  tree.process({ pid: 10, comm: 'other', startTime: 3000, fds: { 5: KVM_VM } });
  assert.deepEqual(await pids(scanner, tree, true), [10]);
});

test('a process that exits is forgotten: its pid is new to a quick pass', async (context) => {
  const tree = treeWith(context, { pid: 10, comm: 'sh' });
  const scanner = new ProcessScanner();
  await pids(scanner, tree, true);
  tree.remove('proc/10');
  await pids(scanner, tree, false);
  tree.process({ pid: 10, comm: 'sh', fds: { 5: KVM_VM } });
  assert.deepEqual(await pids(scanner, tree, false), [10]);
});

test('a vhost worker of the kernel belongs to the thread in its name', async (context) => {
  const kernel = { flags: PF_KTHREAD };
  const tree = treeWith(
    context,
    { pid: 50, comm: 'vhost-10', ...kernel },
    { pid: 51, comm: 'vhost-10', ...kernel },
    { pid: 52, comm: 'vhost-20', ...kernel },
    { pid: 53, comm: 'vhost-20x', ...kernel },
    { pid: 54, comm: 'xvhost-20', ...kernel },
    { pid: 55, comm: 'vhost-10' },
  );
  const { vhostWorkers } = await new ProcessScanner().scan(tree.host, true, () => false, NOBODY);
  assert.deepEqual(Object.fromEntries(vhostWorkers), { 10: [50, 51], 20: [52] });
});

test('descriptors that cannot be read are a problem only of a process that may be a VM', async (context) => {
  const tree = treeWith(
    context,
    { pid: 10, comm: 'firecracker' },
    { pid: 20, comm: 'sh' },
    { pid: 30, comm: 'x', executable: '/usr/bin/qemu-system-x86_64' },
    { pid: 40, comm: 'kvm' },
  );
  tree.remove('proc/40/stat');
  const denied = (path: string): boolean => /\/proc\/(10|20|30)\/fd$/.test(path);
  const host = {
    ...tree.host,
    entries: (path: string) => {
      if (denied(path)) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
      return tree.host.entries(path);
    },
  };
  const scan = async (holders?: ReadonlySet<number>) => {
    const scanner = new ProcessScanner();
    const { candidates, problems } = await scanner.scan(host, true, () => false, NOBODY, holders);
    const denials = problems.map(({ path, kind }) => `${path.slice(tree.folder.length)} ${kind}`);
    return [candidates.map(({ pid }) => pid), denials];
  };
  assert.deepEqual(await scan(), [[], ['/proc/10 denied', '/proc/30 denied']]);
  const holders = new Set([20]);
  assert.deepEqual(await scan(holders), [[30], ['/proc/20 denied']], 'KVM knows which process has a VM');
});

test('a process that ends while its descriptors are read is no problem, although the kernel reports EACCES', async (context) => {
  const tree = treeWith(context, { pid: 10, comm: 'firecracker' });
  const host = {
    ...tree.host,
    entries: (path: string) => {
      if (!path.endsWith('/proc/10/fd')) return tree.host.entries(path);
      tree.remove('proc/10');
      throw new SourceError('denied', path, 'EACCES', 'EACCES');
    },
  };
  const { candidates, problems } = await new ProcessScanner().scan(host, true, () => false, NOBODY);
  assert.deepEqual([candidates, problems], [[], []]);
});

test('only the target of a descriptor of KVM is one', () => {
  assert.deepEqual([KVM_VM, '/dev/kvm', undefined].map(isKvmVm), [true, false, false]);
});
