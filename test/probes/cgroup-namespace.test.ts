import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespaceRoot } from '../../probes/cgroup-namespace.ts';
import { parseCgroup } from '../../probes/proc-pid-cgroup.ts';
import { ROOT } from '../../testing/daemon.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { has } from '../../testing/tools.ts';

test("the namespace's root is found by its inode", (context) => {
  const { host, write } = hostTree(context);
  const own = 'sys/fs/cgroup/kubepods.slice/pod1.slice/cri-containerd-a.scope';
  write('sys/fs/cgroup/cpu.stat', '');
  write('sys/fs/cgroup/system.slice/cpu.stat', '');
  write(`${own}/cpu.stat`, '');
  const below = `${host.roots.sysfs}/fs/cgroup/kubepods.slice/pod1.slice/cri-containerd-a.scope`;
  assert.equal(namespaceRoot(host, below), '/kubepods.slice/pod1.slice/cri-containerd-a.scope');
  const other = hostTree(context);
  other.write('sys/fs/cgroup/cpu.stat', '');
  assert.equal(namespaceRoot(other.host, below), undefined, 'not below this mount');
  assert.equal(namespaceRoot(hostTree(context).host, '/nowhere'), undefined);
});

test("paths of other cgroups are relative to the namespace's root", () => {
  const root = '/kubepods.slice/pod1.slice/a.scope';
  assert.equal(
    parseCgroup('0::/../../pod2.slice/b.scope\n', root).unified,
    '/kubepods.slice/pod2.slice/b.scope',
  );
  assert.equal(parseCgroup('0::/../../../../../..\n', root).unified, '/');
  assert.equal(parseCgroup('3:cpuset:/../x\n', root).isHidden, true, 'v1');
});

/** In a pod without privileges: the exporter in a cgroup namespace of its own, the VM in another pod. */
test('the kernel hides the cgroup of another pod, and it is resolved', async (context) => {
  const sysfs = mkdtempSync(join(tmpdir(), 'kvm-telemetry-'));
  const folder = `${sysfs}/fs/cgroup`;
  mkdirSync(folder, { recursive: true });
  const pods = `${folder}/kubepods-${process.pid}.slice`;
  const [ours, theirs] = [`${pods}/pod1/own.scope`, `${pods}/pod2/vm.scope`];
  const vm = spawn('sleep', ['600'], { stdio: 'ignore' });
  context.after(async () => {
    const ended = once(vm, 'exit');
    vm.kill('SIGKILL');
    await ended;
    for (const path of [ours, `${pods}/pod1`, theirs, `${pods}/pod2`, pods])
      if (existsSync(path)) rmdirSync(path);
    spawnSync('umount', [folder]);
    rmSync(sysfs, { recursive: true });
  });
  const mounted = spawnSync('mount', ['-t', 'cgroup2', 'none', folder]).status === 0;
  if (!has(context, mounted, 'cgroup v2 cannot be mounted')) return;
  mkdirSync(ours, { recursive: true });
  mkdirSync(theirs, { recursive: true });
  writeFileSync(`${theirs}/cgroup.procs`, String(vm.pid));

  const script = `
    import { readCgroup } from '${ROOT}dist/probes/proc-pid-cgroup.js';
    import { createHost } from '${ROOT}dist/probes/host.js';
    import { readFileSync } from 'node:fs';
    const host = createHost({ procfs: '/proc', sysfs: '${sysfs}' });
    console.log(readFileSync('/proc/${vm.pid}/cgroup', 'utf8').match(/^0::(.*)$/m)[1]);
    console.log(JSON.stringify(readCgroup(host, '/proc/${vm.pid}')));`;
  const inside = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" --input-type=module -e "$1"';
  const run = spawnSync(
    'sh',
    [
      '-c',
      `echo $$ > ${ours}/cgroup.procs && exec unshare --cgroup --mount sh -c '${inside}' "$0" "$1"`,
      process.execPath,
      script,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  assert.equal(run.status, 0, run.stderr);
  const [shown, read = ''] = run.stdout.split('\n');
  assert.equal(shown, '/../../pod2/vm.scope', 'the kernel shows a relative path');
  const { unified, isHidden } = JSON.parse(read) as { unified: string; isHidden: boolean };
  assert.deepEqual([unified, isHidden], [theirs.slice(folder.length), false]);
  assert.match(readFileSync(`/proc/${vm.pid}/cgroup`, 'utf8'), /0::\/kubepods-/);
});
