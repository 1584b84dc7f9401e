import assert from 'node:assert/strict';
import { chownSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { daemonQuotaLines, quotasOfDaemons } from '../../../exporter/doctor/daemons.ts';
import { type HostTree, hostTree } from '../../../testing/host-tree.ts';
import { has } from '../../../testing/tools.ts';

const OWNER = process.getuid?.();
const SERVICE = '/system.slice/kvm-telemetry.service';
const SERVE = [
  '/usr/lib/kvm-telemetry/node',
  '--max-semi-space-size=4',
  '/app/dist/exporter/main.js',
  'serve',
];

function withDaemon(context: TestContext, cgroup: string, argv: readonly string[] = SERVE): HostTree {
  const tree = hostTree(context);
  tree.process({ pid: 40, comm: 'node', argv, executable: argv[0] ?? '' });
  tree.write('proc/40/cgroup', `0::${cgroup}\n`);
  return tree;
}

function limit({ write }: HostTree, cgroup: string, quota: string, periods: number, throttled: number): void {
  write(`sys/fs/cgroup${cgroup}/cpu.max`, `${quota} 100000\n`);
  const counts = `nr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_usec 2536933\n`;
  write(`sys/fs/cgroup${cgroup}/cpu.stat`, `usage_usec 1\n${counts}`);
}

async function linesOf({ host }: HostTree): Promise<string> {
  return daemonQuotaLines(await quotasOfDaemons(host, OWNER));
}

test('a quota that stops the daemon is one line with the remedy', async (context) => {
  const tree = withDaemon(context, SERVICE);
  limit(tree, SERVICE, '20000', 53, 48);
  assert.equal(
    await linesOf(tree),
    '\nquota  daemon (pid 40) in /system.slice/kvm-telemetry.service: 20 ms each 100 ms (0.2 CPUs), used up in 48 of 53 periods, 2.5 s stopped: scrapes may be late or missed; fix: systemctl set-property kvm-telemetry.service CPUQuota=\n',
  );
});

test('a quota that is rarely used up needs no remedy; without a quota there is no line', async (context) => {
  const tree = withDaemon(context, SERVICE, ['node', '/usr/local/bin/kvm-telemetry', 'serve']);
  limit(tree, SERVICE, '100000', 100, 4);
  assert.match(await linesOf(tree), /used up in 4 of 100 periods, 2\.5 s stopped\n$/);
  limit(tree, SERVICE, 'max', 100, 90);
  assert.equal(await linesOf(tree), '');
});

test('the fix fits the owner of the quota, also for a cgroup above the daemon', async (context) => {
  const fixes = async (cgroup: string, limited = cgroup): Promise<(string | undefined)[]> => {
    const tree = withDaemon(context, cgroup);
    limit(tree, limited, '20000', 10, 9);
    return (await quotasOfDaemons(tree.host, OWNER)).map(({ fix }) => fix);
  };
  const pod = '/kubepods.slice/kubepods-pod1.slice/cri-containerd-ab.scope';
  assert.deepEqual(await fixes(pod), ["remove the CPU limit (resources.limits.cpu) of the daemon's pod"]);
  for (const cgroup of ['/system.slice/docker-ab.scope', '/docker/ab', '/machine.slice/libpod-ab.scope'])
    assert.deepEqual(await fixes(cgroup), ["remove the container's CPU limit"], cgroup);
  assert.deepEqual(await fixes(SERVICE, '/system.slice'), ['systemctl set-property system.slice CPUQuota=']);
  assert.deepEqual(await fixes('/mine'), ['remove the quota of /mine']);
});

test('only processes of serve count, and only those of root or of the owner of the state directory', async (context) => {
  for (const argv of [
    ['node', '/usr/local/bin/kvm-telemetry', 'doctor'],
    ['node', 'serve'],
    ['/usr/bin/python3', '/usr/local/bin/kvm-telemetry', 'serve'],
  ]) {
    const tree = withDaemon(context, SERVICE, argv);
    limit(tree, SERVICE, '20000', 53, 48);
    assert.equal(await linesOf(tree), '', argv.join(' '));
  }
  if (!has(context, OWNER === 0, 'root')) return;
  const tree = withDaemon(context, SERVICE);
  limit(tree, SERVICE, '20000', 53, 48);
  chownSync(join(tree.folder, 'proc/40'), 1234, 1234);
  assert.equal((await quotasOfDaemons(tree.host, 0)).length, 0);
  assert.equal((await quotasOfDaemons(tree.host, undefined)).length, 0);
  assert.equal((await quotasOfDaemons(tree.host, 1234)).length, 1);
});
