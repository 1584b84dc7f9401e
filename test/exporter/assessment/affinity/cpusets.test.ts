import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cpusets } from '../../../../exporter/assessment/affinity/cpusets.ts';
import type { VmThread } from '../../../../exporter/model/vm.ts';
import { parseCpuList } from '../../../../probes/cpu-list.ts';
import { threadOf, vmOf } from '../../../../testing/affinity-host.ts';
import { liveHost } from '../../../../testing/captured.ts';
import { hostTree } from '../../../../testing/host-tree.ts';

const V1 = '/sys/fs/cgroup/cpuset';

/** Two processes in cpusets as libvirt makes them for an emulator and a vCPU; both end with the test. */
function realCpusets(context: TestContext): { vm: string; pids: number[] } | undefined {
  if (process.geteuid?.() !== 0 || !existsSync(`${V1}/cpuset.effective_cpus`)) return undefined;
  const vm = `${V1}/kt-${process.pid}`;
  const groups = [vm, `${vm}/emulator`, `${vm}/vcpu0`];
  const children: ChildProcess[] = [];
  context.after(async () => {
    await Promise.all(
      children.map((child) => {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        return ended;
      }),
    );
    for (const group of groups.reverse()) await removed(group);
  });
  for (const [i, group] of groups.entries()) {
    mkdirSync(group);
    writeFileSync(`${group}/cpuset.mems`, readFileSync(`${V1}/cpuset.mems`));
    writeFileSync(`${group}/cpuset.cpus`, i === 2 ? '0' : readFileSync(`${V1}/cpuset.cpus`));
  }
  const pids = groups.slice(1).map((group) => {
    const child = spawn('sleep', ['60']);
    children.push(child);
    writeFileSync(`${group}/tasks`, String(child.pid));
    return child.pid ?? 0;
  });
  return { vm, pids };
}

/** A cgroup is busy until its last process has been reaped. */
async function removed(group: string): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      rmdirSync(group);
      return;
    } catch (error) {
      if (i === 100) throw error;
      await sleep(20);
    }
  }
}

test("the kernel's own cpusets: the VM has that of the cgroup above its threads, a vCPU its own", (context) => {
  const real = realCpusets(context);
  if (real === undefined) return context.skip('needs root and cpusets of cgroup v1');
  const [emulator = 0, vcpu = 0] = real.pids;
  const threads = [emulator, vcpu].map(
    (tid) => ({ tid, path: `/proc/${tid}/task/${tid}` }) as unknown as VmThread,
  );
  const vm = vmOf({ pid: emulator });
  const cpusets = new Cpusets(liveHost());
  const all = parseCpuList(readFileSync(`${V1}/cpuset.cpus`, 'utf8'));
  assert.deepEqual(cpusets.ofVm(vm, threads).cpus, all);
  assert.deepEqual(cpusets.ofThread(threads[1] as VmThread), [0]);
  writeFileSync(`${real.vm}/emulator/cpuset.cpus`, '0');
  writeFileSync(`${real.vm}/cpuset.cpus`, '0');
  for (const thread of threads) cpusets.forget(vm, thread);
  assert.deepEqual(cpusets.ofVm(vm, threads).cpus, [0]);
});

test('a cpuset is read again after five minutes, and at once after a mask changed', (context) => {
  const tree = hostTree(context);
  const thread = threadOf(tree, 11, 'vcpu0');
  const vm = vmOf();
  const cpusets = new Cpusets(tree.host);
  const set = (list: string): void => tree.write('sys/fs/cgroup/vm/cpuset.cpus.effective', `${list}\n`);
  for (const tid of [10, 11]) tree.write(`proc/10/task/${tid}/cgroup`, '0::/vm\n');
  tree.write('proc/10/status', 'Name:\tx\nMems_allowed_list:\t0,2\n');
  const cpus = (): unknown[] => [cpusets.ofVm(vm, [thread]).cpus, cpusets.ofThread(thread)];
  set('0-1');
  assert.deepEqual(cpus(), [
    [0, 1],
    [0, 1],
  ]);
  assert.deepEqual(cpusets.ofVm(vm, [thread]).mems, [0, 2]);
  set('1');
  for (let i = 0; i < 299; i++) cpusets.tick([vm]);
  assert.deepEqual(cpus(), [
    [0, 1],
    [0, 1],
  ]);
  cpusets.tick([vm]);
  assert.deepEqual(cpus(), [[1], [1]]);
  set('0');
  cpusets.forget(vm, thread);
  assert.deepEqual(cpus(), [[0], [0]]);
});

test('a vhost worker that is a kernel thread may be in another cgroup, and does not widen its VM', (context) => {
  const tree = hostTree(context);
  const vcpu = threadOf(tree, 11, 'vcpu0');
  const vhost = { ...threadOf(tree, 12, 'vhost0'), path: `${tree.host.roots.procfs}/12` };
  for (const tid of [10, 11]) tree.write(`proc/10/task/${tid}/cgroup`, '0::/vm\n');
  tree.write('proc/12/cgroup', '0::/\n');
  tree.write('sys/fs/cgroup/cpuset.cpus.effective', '0-7\n');
  tree.write('sys/fs/cgroup/vm/cpuset.cpus.effective', '2-3\n');
  assert.deepEqual(new Cpusets(tree.host).ofVm(vmOf(), [vcpu, vhost]).cpus, [2, 3]);
});

test('a VM without a cgroup, or whose cgroup disappeared, is not confined', (context) => {
  const tree = hostTree(context);
  const none = { cpus: undefined, mems: undefined, isKnown: true };
  assert.deepEqual(new Cpusets(tree.host).ofVm(vmOf(), []), none);
  tree.write('proc/10/cgroup', '0::/../vm\n');
  assert.equal(new Cpusets(tree.host).ofVm(vmOf(), []).isKnown, false);
});
