import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type OwnThrottling, readOwnThrottling } from '../../probes/own-cgroup.ts';
import { cgroupOf, hasCpuController } from '../../testing/cpu-cgroup.ts';
import { ROOT } from '../../testing/daemon.ts';
import { hostTree } from '../../testing/host-tree.ts';

test('the quota of the own cgroup, in v2 and v1', (context) => {
  const tree = hostTree(context);
  assert.equal(readOwnThrottling(tree.host), undefined, 'a host without cgroups');
  tree.write('proc/self/cgroup', '0::/system.slice/kt.service\n');
  assert.equal(readOwnThrottling(tree.host), undefined, 'without the cpu controller');
  const v2 = 'sys/fs/cgroup/system.slice/kt.service';
  tree.write(`${v2}/cpu.max`, 'max 100000\n');
  tree.write(`${v2}/cpu.stat`, 'usage_usec 9\nnr_periods 5\nnr_throttled 2\nthrottled_usec 1500000\n');
  assert.deepEqual(readOwnThrottling(tree.host), {
    folder: `${tree.folder}/${v2}`,
    isLimited: false,
    stat: { periods: 5, throttledPeriods: 2, throttledNs: 1_500_000_000 },
  });
  tree.write(`${v2}/cpu.max`, '50000 100000\n');
  assert.equal(readOwnThrottling(tree.host)?.isLimited, true);

  tree.write('proc/self/cgroup', '4:cpu,cpuacct:/kt\n0::/\n');
  const v1 = 'sys/fs/cgroup/cpu/kt';
  tree.write(`${v1}/cpu.cfs_quota_us`, '20000\n');
  tree.write(`${v1}/cpu.cfs_period_us`, '100000\n');
  tree.write(`${v1}/cpu.stat`, 'nr_periods 5\nnr_throttled 2\nthrottled_time 2500000000\n');
  assert.equal(readOwnThrottling(tree.host)?.stat.throttledNs, 2_500_000_000);
});

test('a process with a real quota reads what the kernel counts', async (context) => {
  if (!hasCpuController(context)) return;
  const script = `
    import { readOwnThrottling } from '${ROOT}dist/probes/own-cgroup.js';
    import { createHost } from '${ROOT}dist/probes/host.js';
    for (const end = process.cpuUsage().user + 300_000; process.cpuUsage().user < end; );
    console.log(JSON.stringify(readOwnThrottling(createHost({ procfs: '/proc', sysfs: '/sys' })) ?? null));`;
  const args = ['-c', 'read -r _ && exec "$0" --input-type=module -e "$1"', process.execPath, script];
  const child = spawn('sh', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const cgroup = cgroupOf(context, { pid: child.pid ?? 0 }, 'kt-own');
  cgroup.limit(20_000);
  child.stdin.end('\n');
  const found = JSON.parse(await text(child.stdout)) as OwnThrottling;
  assert.equal(found.isLimited, true);
  const seconds = found.stat.throttledNs / 1e9;
  assert.ok(seconds > 0 && seconds <= cgroup.throttled(), `${seconds}`);
});
