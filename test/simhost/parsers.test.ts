import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { SimulatedHost } from '../../lab/simhost/host.ts';
import { demo } from '../../lab/simhost/scenarios.ts';
import { WOBBLE } from '../../lab/simhost/thread.ts';
import { formatOf, TRACEPOINTS } from '../../lab/simhost/trace/formats.ts';
import { parseCpuMax } from '../../probes/cgroup-cpu-max.ts';
import { parseCpuStat } from '../../probes/cgroup-cpu-stat.ts';
import { parseCpuList } from '../../probes/cpu-list.ts';
import { parseKvmStatistic } from '../../probes/kvm-debugfs.ts';
import { parseDomstatus } from '../../probes/libvirt-domstatus.ts';
import { parseLockdown } from '../../probes/lockdown.ts';
import { parseBootId } from '../../probes/proc-boot-id.ts';
import { parseCpuModel } from '../../probes/proc-cpuinfo.ts';
import { parseDiskstats } from '../../probes/proc-diskstats.ts';
import { InterruptsParser } from '../../probes/proc-interrupts.ts';
import { parseMountinfo } from '../../probes/proc-mountinfo.ts';
import { parseListeningSockets } from '../../probes/proc-net-unix.ts';
import { parseNumaMaps } from '../../probes/proc-numa-maps.ts';
import { parseCgroup } from '../../probes/proc-pid-cgroup.ts';
import { parseDescriptorInfo } from '../../probes/proc-pid-fd.ts';
import { parseSchedstat } from '../../probes/proc-schedstat.ts';
import { parseBootTime } from '../../probes/proc-stat.ts';
import { parseTaskMigrations } from '../../probes/proc-task-sched.ts';
import { parseTaskSchedstat } from '../../probes/proc-task-schedstat.ts';
import { parseTaskStat } from '../../probes/proc-task-stat.ts';
import { parseTaskStatus } from '../../probes/proc-task-status.ts';
import { parseMovedPages } from '../../probes/proc-vmstat.ts';
import { parseQemuCommandLine } from '../../probes/qemu-command-line.ts';
import { parseQemuDevices } from '../../probes/qemu-devices.ts';
import { parseQemuOptions } from '../../probes/qemu-options.ts';
import { parseBlockInflight } from '../../probes/sys-block-inflight.ts';
import { parseBlockStat } from '../../probes/sys-block-stat.ts';
import { parseEventFormat } from '../../probes/tracefs-format.ts';
import { ROOT } from '../../testing/daemon.ts';
import { steps, walk } from '../../testing/simulated.ts';

/** The parser of every file of the tree, by path. A file without a reader fails the test. */
const READERS: readonly (readonly [RegExp, (text: string) => unknown])[] = [
  [/^proc\/\d+\/(task\/\d+\/)?stat$/, parseTaskStat],
  [/^proc\/\d+\/(task\/\d+\/)?status$/, parseTaskStatus],
  [/^proc\/\d+\/(task\/\d+\/)?sched$/, parseTaskMigrations],
  [/^proc\/\d+\/(task\/\d+\/)?schedstat$/, parseTaskSchedstat],
  [/^proc\/\d+\/(task\/\d+\/)?cgroup$/, parseCgroup],
  [/^sys\/fs\/cgroup\/.*cpu\.max$/, parseCpuMax],
  [/^sys\/fs\/cgroup\/.*cpu\.stat$/, parseCpuStat],
  [/^proc\/\d+\/numa_maps$/, parseNumaMaps],
  [
    /^proc\/\d+\/mountinfo$/,
    (text) => assert.equal(parseMountinfo(text).length, text.split('\n').length - 1),
  ],
  [/^proc\/\d+\/fdinfo\/\d+$/, (text) => assert.ok(parseDescriptorInfo(text).mountId)],
  [/^proc\/\d+\/cmdline$/, (text) => text === '/sbin/init\0' || checkCommandLine(text.split('\0'))],
  [/^proc\/1\/net\/unix$/, (text) => assert.equal(parseListeningSockets(text).size, 6)],
  [/^proc\/stat$/, parseBootTime],
  [/^proc\/vmstat$/, (text) => assert.notEqual(parseMovedPages(text).numaMigrated, undefined)],
  [/^proc\/schedstat$/, (text) => assert.equal(parseSchedstat(text).length, 128)],
  [/^proc\/diskstats$/, (text) => assert.equal(parseDiskstats(text).size, 6)],
  [
    /^proc\/interrupts$/,
    (text) => {
      let lines = 0;
      new InterruptsParser(({ id }) => {
        if (/^\d/.test(id)) lines++;
      }).push(Buffer.from(text));
      assert.equal(lines, 6 * 16);
    },
  ],
  [/^proc\/irq\/\d+\/(effective|smp)_affinity_list$/, parseCpuList],
  [/^proc\/sys\/kernel\/random\/boot_id$/, parseBootId],
  // Names as they are, without a format.
  [/^proc\/cpuinfo$/, (text) => assert.equal(parseCpuModel(text), 'Simulated CPU')],
  [/^proc\/sys\/kernel\/(hostname|osrelease)$/, (text) => assert.match(text, /^\S+\n$/)],
  [/^proc\/(uptime|partitions|\d+\/comm|\d+\/task\/\d+\/comm)$/, () => true],
  [/^sys\/devices\/pci.*\/stat$/, parseBlockStat],
  [/^sys\/devices\/pci.*\/inflight$/, parseBlockInflight],
  [/^sys\/devices\/pci.*\/mq\/\d+\/cpu_list$/, parseCpuList],
  [/^sys\/devices\/pci.*\/(queue\/\w+|dev|size|numa_node)$/, () => true],
  [
    /^sys\/devices\/system\/cpu\/cpu\d+\/cpufreq\/scaling_governor$/,
    (text) => assert.match(text, /^[a-z]+\n$/),
  ],
  [/^sys\/devices\/system\/cpu\/cpu\d+\/cpufreq\/\w+$/, (text) => assert.match(text, /^\d+\n$/)],
  [/^sys\/devices\/system\/cpu\/cpu\d+\/cpuidle\/state\d\/name$/, (text) => assert.match(text, /^\S+\n$/)],
  [/^sys\/devices\/system\/cpu\/cpu\d+\/cpuidle\/state\d\/time$/, (text) => assert.match(text, /^\d+\n$/)],
  [/^sys\/devices\/system\/cpu\/cpu\d+\/topology\/\w+$/, parseCpuList],
  [/^sys\/devices\/system\/cpu\/nohz_full$/, (text) => assert.match(text, /^ *(\(null\)|[\d,-]*)\n$/)],
  [/^sys\/devices\/system\/(cpu|node)\/(online|isolated|node\d+\/cpulist)$/, parseCpuList],
  [/^sys\/fs\/cgroup\/.*cpuset\.cpus\.effective$/, parseCpuList],
  [/^sys\/kernel\/security\/lockdown$/, parseLockdown],
  [/^sys\/kernel\/debug\/kvm\/.*tsc-offset$/, () => true],
  [/^sys\/kernel\/debug\/kvm\//, parseKvmStatistic],
  [/^sys\/kernel\/tracing\/events\/\w+\/\w+\/format$/, parseEventFormat],
  [/^sys\/kernel\/tracing\/(synthetic_events|trace_clock|error_log)$/, () => true],
  [/^sys\/module\/\w+\/parameters\/\w+$/, () => true],
  [/^run\/libvirt\/qemu\/.*\.xml$/, parseDomstatus],
];

function checkCommandLine(argv: string[]): void {
  const { options } = parseQemuOptions(argv);
  const { name, monitors, accels } = parseQemuCommandLine(options);
  assert.deepEqual(monitors, [`/run/kvm-telemetry/qmp/${name}.sock`]);
  assert.deepEqual(accels, ['kvm']);
  assert.equal(parseQemuDevices(options)?.storage.length, 1);
}

function filesOf(root: string): string[] {
  return walk(root).filter((name) => lstatSync(join(root, name)).isFile() && !name.startsWith('.simhost'));
}

describe('the tree', () => {
  let root = '';
  let host: SimulatedHost;

  before(() => {
    root = mkdtempSync('/tmp/kt-sim-');
    host = demo({ seed: 5 }).host;
    host.writeTo(root);
    steps(host, 20);
    host.close();
  });
  after(() => rmSync(root, { recursive: true }));

  it('is valid for our parsers, file by file', () => {
    const unread: string[] = [];
    for (const name of filesOf(root)) {
      const reader = READERS.find(([pattern]) => pattern.test(name))?.[1];
      if (reader === undefined) unread.push(name);
      else assert.doesNotThrow(() => reader(readFileSync(join(root, name), 'latin1')), name);
    }
    assert.deepEqual(unread, []);
  });

  it('has the values of the model', () => {
    for (const vm of host.vms) {
      for (const { tid, spec, user, guest, guestTicks, cpu, startTicks } of vm.threads) {
        const stat = parseTaskStat(readFileSync(`${root}/proc/${vm.pid}/task/${tid}/stat`, 'latin1'));
        assert.equal(stat.comm, spec.comm);
        assert.equal(stat.utime, Math.floor(user.value / 1e7));
        assert.equal(stat.guestTime, guestTicks);
        // Guest time is sampled.
        const exact = Math.floor(guest.value / 1e7);
        assert.ok(Math.abs(guestTicks - exact) <= WOBBLE, `${spec.comm}: ${guestTicks} for ${exact}`);
        assert.equal(stat.processor, cpu);
        assert.equal(stat.startTime, startTicks);
      }
    }
  });
});

describe('formats of tracepoints', () => {
  const fixtures = `${ROOT}test/fixtures/tracepoint-formats-6.18`;

  for (const event of TRACEPOINTS) {
    it(`${event} has the fields of Linux 6.18`, () => {
      const real = readFileSync(`${fixtures}/${event.replace('/', '.')}.format`, 'latin1');
      const fields = (text: string): string[] =>
        text.split('\n').filter((line) => line.startsWith('\tfield:'));
      assert.deepEqual(fields(formatOf(event)), fields(real));
    });
  }
});
