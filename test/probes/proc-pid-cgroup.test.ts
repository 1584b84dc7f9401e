import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpuList } from '../../probes/cpu-list.ts';
import { commonCgroup, hierarchyOf, parseCgroup, readEffectiveCpuset } from '../../probes/proc-pid-cgroup.ts';
import { readTaskStatus } from '../../probes/proc-task-status.ts';
import { liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { testRobustness } from './robustness.ts';

/** Linux with both versions, a vCPU of a domain of libvirt 9.0. */
const HYBRID = [
  '9:name=systemd:/',
  '8:pids:/',
  '7:blkio:/machine/qemu-1-kt-pins.libvirt-qemu',
  '3:cpuset:/machine/qemu-1-kt-pins.libvirt-qemu/vcpu0',
  '1:cpu,cpuacct:/machine/qemu-1-kt-pins.libvirt-qemu/vcpu0',
  '4:memory:/machine/qemu-1-kt-pins.libvirt-qemu',
  '0::/machine/qemu-1-kt-pins.libvirt-qemu/emulator',
  '',
].join('\n');
const UNIFIED = '0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0\n';
const SCOPE = 'sys/fs/cgroup/machine.slice/machine-qemu\\x2d1\\x2dvm.scope';

const NONE = {
  unified: undefined,
  cpuset: undefined,
  cpu: undefined,
  memory: undefined,
  isHidden: false,
};

test('both versions are distinguished', () => {
  assert.deepEqual(parseCgroup(UNIFIED), {
    unified: '/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/vcpu0',
    cpuset: undefined,
    cpu: undefined,
    memory: undefined,
    isHidden: false,
  });
  assert.deepEqual(parseCgroup(HYBRID), {
    unified: '/machine/qemu-1-kt-pins.libvirt-qemu/emulator',
    cpuset: '/machine/qemu-1-kt-pins.libvirt-qemu/vcpu0',
    cpu: '/machine/qemu-1-kt-pins.libvirt-qemu/vcpu0',
    memory: '/machine/qemu-1-kt-pins.libvirt-qemu',
    isHidden: false,
  });
  assert.deepEqual(parseCgroup('4:cpuset,cpu:/a:b\n'), { ...NONE, cpuset: '/a:b', cpu: '/a:b' });
  assert.equal(parseCgroup('4:cpuacct,cpu:/a\n5:cpuacct:/b\n').cpu, '/a');
  assert.deepEqual(parseCgroup(''), NONE);
});

test('a path that leads out of the hierarchy is not followed', () => {
  for (const path of ['/..', '/../../etc', '/a/../b', '/a/..', '/./a', 'a', '']) {
    assert.deepEqual(parseCgroup(`0::${path}\n3:cpuset:${path}\n`), {
      ...NONE,
      isHidden: path.startsWith('/'),
    });
  }
  assert.equal(parseCgroup('0::/a/..b/...\n').unified, '/a/..b/...');
});

test('the effective CPUs of v2 are read', (context) => {
  const { host, write } = hostTree(context);
  write('proc/7/cgroup', UNIFIED);
  write(`${SCOPE}/libvirt/vcpu0/cpuset.cpus.effective`, '2-3\n');
  write('sys/fs/cgroup/cpuset.cpus.effective', '0-7\n');
  assert.deepEqual(readEffectiveCpuset(host, `${host.roots.procfs}/7`), [2, 3]);
});

test("if a v2 cgroup has no cpuset, the nearest ancestor's applies", (context) => {
  const { host, write, remove } = hostTree(context);
  write('proc/7/cgroup', UNIFIED);
  write(`${SCOPE}/cpuset.cpus.effective`, '0-1\n');
  write('sys/fs/cgroup/cpuset.cpus.effective', '0-7\n');
  assert.deepEqual(readEffectiveCpuset(host, `${host.roots.procfs}/7`), [0, 1]);
  remove(SCOPE);
  assert.equal(readEffectiveCpuset(host, `${host.roots.procfs}/7`)?.length, 8);
  remove('sys/fs/cgroup');
  assert.equal(readEffectiveCpuset(host, `${host.roots.procfs}/7`), undefined);
});

test('a v1 hierarchy with several controllers is found without links', (context) => {
  const { host, write } = hostTree(context);
  write('proc/7/cgroup', '2:cpuset,cpu,cpuacct:/kt\n0::/\n');
  write('sys/fs/cgroup/cpuset,cpu,cpuacct/kt/cpuset.effective_cpus', '2\n');
  write('sys/fs/cgroup/cpuset,cpu,cpuacct/kt/cpu.stat', '');
  assert.deepEqual(readEffectiveCpuset(host, `${host.roots.procfs}/7`), [2]);
  const joint = `${host.roots.sysfs}/fs/cgroup/cpuset,cpu,cpuacct`;
  assert.equal(hierarchyOf(host, 'cpu'), joint);
  write('sys/fs/cgroup/cpu/kt/cpu.stat', '');
  assert.equal(hierarchyOf(host, 'cpu'), `${host.roots.sysfs}/fs/cgroup/cpu`);
});

test('the v1 cpuset takes precedence over an empty v2 hierarchy', (context) => {
  const { host, write, remove } = hostTree(context);
  write('proc/7/cgroup', HYBRID);
  const file = 'sys/fs/cgroup/cpuset/machine/qemu-1-kt-pins.libvirt-qemu/vcpu0/cpuset.effective_cpus';
  write(file, '1\n');
  assert.deepEqual(readEffectiveCpuset(host, `${host.roots.procfs}/7`), [1]);
  remove(file);
  assert.equal(readEffectiveCpuset(host, `${host.roots.procfs}/7`), undefined);
});

test('a name beyond ASCII is found', (context) => {
  const { host, write } = hostTree(context);
  write('proc/7/cgroup', Buffer.from('0::/été\n'));
  write('sys/fs/cgroup/été/cpuset.cpus.effective', '5\n');
  assert.deepEqual(readEffectiveCpuset(host, `${host.roots.procfs}/7`), [5]);
});

test('an invalid file and an exited process are reported', (context) => {
  const { host, write } = hostTree(context);
  assert.throws(() => readEffectiveCpuset(host, `${host.roots.procfs}/7`), {
    name: 'SourceError',
    kind: 'absent',
  });
  write('proc/7/cgroup', '0::/\n');
  write('sys/fs/cgroup/cpuset.cpus.effective', 'x\n');
  assert.throws(() => readEffectiveCpuset(host, `${host.roots.procfs}/7`), {
    name: 'SourceError',
    kind: 'malformed',
  });
});

test('this process may run on no CPU outside of its cpuset', (context) => {
  const cpus = readEffectiveCpuset(liveHost(), '/proc/self');
  if (cpus === undefined) return context.skip('no cpuset controller here');
  const allowed = parseCpuList(readTaskStatus(liveHost(), '/proc/self').cpusAllowedList);
  assert.ok(allowed.length > 0);
  assert.deepEqual(
    allowed.filter((cpu) => !cpus.includes(cpu)),
    [],
  );
});

test('the common ancestor of several cgroups is their longest common path', () => {
  const at = (unified: string) => ({ ...NONE, unified });
  const common = (...paths: string[]) => commonCgroup(paths.map(at)).unified;
  assert.equal(
    common('/m/vm/libvirt/vcpu0', '/m/vm/libvirt/emulator', '/m/vm/libvirt/vcpu1'),
    '/m/vm/libvirt',
  );
  assert.equal(common('/m/vm', '/m/vm'), '/m/vm');
  assert.equal(common('/m/vm1', '/m/vm'), '/m');
  assert.equal(common('/m/vm/a', '/m/vm'), '/m/vm');
  assert.equal(common('/a', '/b'), '/');
  assert.deepEqual(commonCgroup([]), NONE);
  assert.equal(commonCgroup([at('/a'), { ...at('/a'), isHidden: true }]).isHidden, true);
});

testRobustness('parseCgroup', parseCgroup, [HYBRID, UNIFIED]);
