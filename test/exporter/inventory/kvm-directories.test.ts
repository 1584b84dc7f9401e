import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import {
  directoryOwners,
  kvmDirectories,
  readDirectory,
  vcpuThreadsOf,
} from '../../../exporter/inventory/kvm-directories.ts';
import { Problems } from '../../../exporter/inventory/problems.ts';
import { capturedHost } from '../../../testing/captured.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';

const KVM = 'sys/kernel/debug/kvm';

function found(problems: Problems): string[] {
  return [...problems.found.values()].flat().map(({ kind }) => kind);
}

/** A VM that is process 10, whose second thread created the VM. */
function treeWith(context: TestContext): HostTree {
  const tree = hostTree(context);
  tree.process({ pid: 10, comm: 'vmm', threads: [{ tid: 11, comm: 'vmm' }] });
  return tree;
}

const VM = { pid: 10, startTime: 1000 };

function ownersIn(tree: HostTree, problems = new Problems(), vms = [VM]): Record<number, string[]> {
  const directories = kvmDirectories(tree.host, problems);
  return Object.fromEntries(directoryOwners(tree.host, vms, directories, problems));
}

test('the directory and the vCPU threads of a captured host', () => {
  const host = capturedHost('linux-nvme-vhost', 't1');
  const problems = new Problems();
  const directories = kvmDirectories(host, problems);
  const [directory] = directories;
  assert.equal(directories.length, 1);
  assert.ok(directory);
  const vm = { pid: directory.tid, startTime: 0 };
  assert.deepEqual([...directoryOwners(host, [vm], directories, problems)], [[vm.pid, [directory.name]]]);
  const read = readDirectory(host, directory.name, []);
  assert.deepEqual(read.content.vcpus, [0, 1]);
  assert.ok(read.content.statistics.some(({ name }) => name === 'halt_poll_success_ns'));
  assert.deepEqual([...vcpuThreadsOf(host, [read], problems).values()], [0, 1]);
  assert.deepEqual(found(problems), []);
});

test('a host without debugfs has no directories, and this is a problem', (context) => {
  const tree = hostTree(context);
  tree.remove(KVM);
  const problems = new Problems();
  assert.deepEqual(kvmDirectories(tree.host, problems), []);
  assert.deepEqual(
    problems.found.get('kvm_debugfs')?.map(({ kind }) => kind),
    ['absent'],
  );
});

test('a process may own several directories: those of its pid and no others', (context) => {
  const tree = treeWith(context);
  tree.process({ pid: 20, comm: 'vmm' });
  for (const name of ['10-7', '10-8', '20-7', '30-7']) tree.write(`${KVM}/${name}/exits`, '1\n');
  const vms = [VM, { pid: 20, startTime: 1000 }, { pid: 40, startTime: 1000 }];
  assert.deepEqual(ownersIn(tree, new Problems(), vms), { 10: ['10-7', '10-8'], 20: ['20-7'] });
});

test('a directory named after a thread belongs to its process', (context) => {
  const tree = treeWith(context);
  tree.write(`${KVM}/11-9/exits`, '1\n');
  tree.write(`${KVM}/99-9/exits`, '1\n');
  assert.deepEqual(ownersIn(tree), { 10: ['11-9'] });
});

test('a directory whose thread has exited is found by the thread of its first vCPU', (context) => {
  const tree = treeWith(context);
  tree.write(`${KVM}/12-9/vcpu0/pid`, '11\n');
  tree.write(`${KVM}/13-9/vcpu0/pid`, '99\n');
  tree.write(`${KVM}/14-9/vcpu0/pid`, '0\n');
  tree.write(`${KVM}/15-9/vcpu1/pid`, '11\n');
  assert.deepEqual(ownersIn(tree), { 10: ['12-9'] });
});

test('a pid that another process has now owns no directory of the old VM', (context) => {
  const tree = hostTree(context);
  const problems = new Problems();
  tree.write(`${KVM}/11-9/exits`, '1\n');
  // The VM has exited: its pid is gone, or is a process without such a thread.
  assert.deepEqual(ownersIn(tree, problems), {});
  tree.process({ pid: 10, comm: 'sh', startTime: 5000 });
  assert.deepEqual(ownersIn(tree, problems), {});
  assert.deepEqual(found(problems), [], 'an exited VM is no problem');
});

test('a running VM whose threads cannot be listed is a problem, and affects no other VM', (context) => {
  const tree = treeWith(context);
  tree.process({ pid: 20, comm: 'vmm', threads: [{ tid: 21, comm: 'vmm' }] });
  tree.remove('proc/10/task');
  for (const name of ['11-9', '21-9']) tree.write(`${KVM}/${name}/exits`, '1\n');
  const problems = new Problems();
  assert.deepEqual(ownersIn(tree, problems, [VM, { pid: 20, startTime: 1000 }]), { 20: ['21-9'] });
  assert.deepEqual(found(problems), ['absent']);
});

test('a directory is read again only if its number of entries changes', (context) => {
  const tree = treeWith(context);
  tree.write(`${KVM}/10-9/exits`, '1\n');
  tree.write(`${KVM}/10-9/vcpu0/pid`, '11\n');
  const first = readDirectory(tree.host, '10-9', []);
  assert.deepEqual(
    [first.name, first.content.vcpus, first.content.statistics.map(({ name }) => name)],
    ['10-9', [0], ['exits']],
  );
  const other = { name: '10-8', content: first.content };
  assert.equal(readDirectory(tree.host, '10-9', [other, first]), first);
  mkdirSync(`${tree.folder}/${KVM}/10-9/vcpu1`);
  const second = readDirectory(tree.host, '10-9', [first]);
  assert.deepEqual(second.content.vcpus, [0, 1]);
  assert.throws(() => readDirectory(tree.host, '10-7', [first]), { kind: 'absent' });
});

test('each vCPU has its thread; one that has not run yet has none, and one that is malformed is a problem', (context) => {
  const tree = treeWith(context);
  const vcpu = (directory: string, index: number, pid: string): void =>
    tree.write(`${KVM}/${directory}/vcpu${index}/pid`, pid);
  vcpu('10-9', 0, '11\n');
  vcpu('10-9', 1, '0\n');
  vcpu('10-9', 2, 'many\n');
  vcpu('10-9', 3, '14\n');
  vcpu('10-8', 4, '15\n');
  mkdirSync(`${tree.folder}/${KVM}/10-9/vcpu5`);
  const directories = ['10-9', '10-8'].map((name) => readDirectory(tree.host, name, []));
  const problems = new Problems();
  assert.deepEqual(Object.fromEntries(vcpuThreadsOf(tree.host, directories, problems)), {
    11: 0,
    14: 3,
    15: 4,
  });
  assert.deepEqual(
    problems.found.get('kvm_debugfs')?.map(({ kind }) => kind),
    ['malformed'],
  );
});

test('if each directory is named after its process, no threads are listed', (context) => {
  const tree = treeWith(context);
  tree.process({ pid: 20, comm: 'vmm' });
  tree.remove('proc/20/task');
  tree.write(`${KVM}/10-9/exits`, '1\n');
  const problems = new Problems();
  assert.deepEqual(ownersIn(tree, problems, [VM, { pid: 20, startTime: 1000 }]), { 10: ['10-9'] });
  assert.deepEqual(found(problems), []);
});
