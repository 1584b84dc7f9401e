import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { caseText, once } from '../../testing/cases.ts';
import { type HostTree, hostTree } from '../../testing/host-tree.ts';
import { parseSamples, type Samples } from '../../testing/metrics.ts';
import { qemuProcess } from '../../testing/qemu-process.ts';

const THREADS = { 11: 'CPU 0/KVM', 12: 'CPU 1/KVM', 13: 'IO io0' } as const;

/** A QEMU, pid 10, with two vCPUs and an IOThread, on a host with these CPUs. */
function host(context: TestContext, online: string, isolated = ''): HostTree {
  const tree = hostTree(context);
  tree.write('sys/devices/system/cpu/online', `${online}\n`);
  tree.write('sys/devices/system/cpu/isolated', `${isolated}\n`);
  const threads = Object.entries(THREADS).map(([tid, comm]) => ({ tid: Number(tid), comm }));
  tree.process(qemuProcess(10, 'web', { threads }));
  return tree;
}

function mask(tree: HostTree, path: string, cpus: string, more = ''): void {
  const rest = 'voluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n';
  tree.write(`${path}/status`, `Name:\tx\nCpus_allowed_list:\t${cpus}\n${more}${rest}`);
}

/** One mask for all threads of the VM, or one for each thread. */
function masks(tree: HostTree, cpus: string | Readonly<Record<number, string>>): void {
  for (const tid of [10, ...Object.keys(THREADS).map(Number)]) {
    mask(tree, `proc/10/task/${tid}`, typeof cpus === 'string' ? cpus : (cpus[tid] ?? ''));
  }
}

async function pinned(tree: HostTree): Promise<(number | undefined)[]> {
  const samples = parseSamples(await once(tree.folder));
  return ['vcpus_pinned', 'io_threads_pinned'].map((feature) => featureOf(samples, feature));
}

function featureOf(samples: Samples, feature: string): number | undefined {
  return samples.get(`kvm_vm_feature{vm="web",feature="${feature}"}`);
}

test('on a host with isolcpus= a VM without pins has no pins', async (context) => {
  const name = 'isolcpus-nobody-pinned';
  const cpu = (file: string): string => caseText(name, 'sys/devices/system/cpu', file).trim();
  const tree = host(context, cpu('online'), cpu('isolated'));
  const all = caseText(name, 'Cpus_allowed_list-of-all-threads-and-of-pid-1.txt').trim();
  masks(tree, all);
  assert.deepEqual(await pinned(tree), [0, 0], 'isolated CPUs');
  mask(tree, 'proc/1', all);
  assert.deepEqual(await pinned(tree), [0, 0], "by the first process's mask");
  masks(tree, { 10: all, 11: '4', 12: '5', 13: '2' });
  assert.deepEqual(await pinned(tree), [1, 1]);
});

test("systemd's CPUAffinity= pins no VM", async (context) => {
  const tree = host(context, '0-7');
  mask(tree, 'proc/1', '0-1,4-5');
  masks(tree, '0-1,4-5');
  assert.deepEqual(await pinned(tree), [0, 0]);
  masks(tree, '0-7');
  assert.deepEqual(await pinned(tree), [0, 0], 'libvirt gives its VMs all CPUs');
  masks(tree, '0-1');
  assert.deepEqual(await pinned(tree), [1, 1]);
});

for (const version of ['v1', 'v2'] as const) {
  const file = (group: string): string =>
    version === 'v2'
      ? `sys/fs/cgroup${group}/cpuset.cpus.effective`
      : `sys/fs/cgroup/cpuset${group}/cpuset.effective_cpus`;
  const put = (tree: HostTree, tid: number, group: string): void =>
    tree.write(
      `proc/10/task/${tid}/cgroup`,
      version === 'v2' ? `0::${group}\n` : `4:cpuset:${group}\n0::/\n`,
    );

  test(`the cpuset of a slice (${version}) pins no VM in the slice`, async (context) => {
    const tree = host(context, '0-7');
    mask(tree, 'proc/1', '0-7');
    for (const tid of [10, 11, 12, 13]) put(tree, tid, '/machine.slice/vm.scope');
    tree.write(file('/machine.slice/vm.scope'), '4-7\n');
    masks(tree, '4-7');
    assert.deepEqual(await pinned(tree), [0, 0]);
    masks(tree, { 10: '4-7', 11: '4', 12: '5', 13: '4-7' });
    assert.deepEqual(await pinned(tree), [1, 0], 'exclusive CPUs, of which KubeVirt gives each vCPU one');
  });

  test(`libvirt's cgroup of a vCPU (${version}) pins the vCPU`, async (context) => {
    const tree = host(context, '0-7');
    mask(tree, 'proc/1', '0-7');
    const groups = { 10: 'emulator', 11: 'vcpu0', 12: 'vcpu1', 13: 'emulator' };
    for (const [tid, group] of Object.entries(groups)) {
      put(tree, Number(tid), `/machine.slice/vm.scope/libvirt/${group}`);
    }
    const set = (group: string, cpus: string): void =>
      tree.write(file(`/machine.slice/vm.scope/libvirt${group}`), `${cpus}\n`);
    set('', '0-7');
    set('/emulator', '0-7');
    set('/vcpu0', '2');
    set('/vcpu1', '3');
    masks(tree, { 10: '0-7', 11: '2', 12: '3', 13: '0-7' });
    assert.deepEqual(await pinned(tree), [1, 0]);
    set('/vcpu1', '0-7');
    masks(tree, { 10: '0-7', 11: '2', 12: '0-7', 13: '0-7' });
    assert.deepEqual(await pinned(tree), [0, 0]);
  });
}

test('with a cgroup outside of our namespace, only masks that differ are pins', async (context) => {
  const tree = host(context, '0-7');
  mask(tree, 'proc/1', '0-7');
  for (const tid of [10, 11, 12, 13]) tree.write(`proc/10/task/${tid}/cgroup`, '0::/../../kubepods/pod1\n');
  masks(tree, '0,4-7');
  assert.deepEqual(await pinned(tree), [undefined, undefined]);
  masks(tree, { 10: '4-7', 11: '4', 12: '5', 13: '6' });
  assert.deepEqual(await pinned(tree), [1, 1]);
  masks(tree, '0-7');
  assert.deepEqual(await pinned(tree), [0, 0]);
});

test('the cpuset of a Kata pod, in which only the vCPUs are, is no pin', async (context) => {
  const tree = host(context, '0-7');
  mask(tree, 'proc/1', '0-7');
  masks(tree, { 10: '0-7', 11: '2-3', 12: '2-3', 13: '0-7' });
  for (const tid of ['10', '10/task/10', '10/task/13'])
    tree.write(`proc/${tid}/cgroup`, '4:cpuset:/kata_overhead/kubepods/pod1/kata_1\n');
  for (const tid of [11, 12]) tree.write(`proc/10/task/${tid}/cgroup`, '4:cpuset:/kubepods/pod1/kata_1\n');
  const cpuset = (path: string, cpus: string): void =>
    tree.write(`sys/fs/cgroup/cpuset${path}/cpuset.effective_cpus`, `${cpus}\n`);
  cpuset('', '0-7');
  cpuset('/kubepods/pod1/kata_1', '2-3');
  assert.deepEqual(await pinned(tree), [0, 0]);
  masks(tree, { 10: '0-7', 11: '2', 12: '3', 13: '0-7' });
  assert.deepEqual(await pinned(tree), [1, 0]);
});
