import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseKvmRows } from '../../../probes/bpf/kvm-rows.ts';
import { MaskTexts } from '../../../probes/bpf/mask-texts.ts';
import { parseThreadRows } from '../../../probes/bpf/thread-rows.ts';
import { SourceError } from '../../../probes/errors.ts';
import { parseTaskMigrations } from '../../../probes/proc-task-sched.ts';
import { parseTaskSchedstat } from '../../../probes/proc-task-schedstat.ts';
import { parseTaskStat } from '../../../probes/proc-task-stat.ts';
import { parseTaskStatus } from '../../../probes/proc-task-status.ts';
import { parseVcpuStats, parseVmStats } from '../../../probes/qmp-stats.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { histogramsOfRow, statisticsOfRow } from '../../../testing/vcpu-table.ts';

// Two real guests of QEMU under /dev/kvm on Linux 6.18: one that reads a virtio disk, and one with two vCPUs that writes to a port.
// They were stopped, so that the rows (scripts/capture-rows.ts), /proc and query-stats are of the same state.
const CAPTURE = `${ROOT}test/fixtures/bpf-rows-6.18/`;
const bytesOf = (name: string): Buffer => readFileSync(`${CAPTURE}bpf/${name}`);
const PIDS = readdirSync(`${CAPTURE}proc`).map(Number);
/** The vCPU answers a request itself, so it does not block then. */
const OF_THE_REQUEST = ['blocking'];

test('the statistics of each real vCPU and VM are those that QEMU gives', () => {
  const { vms, vcpus } = parseKvmRows(bytesOf('kvm'), 'kvm');
  assert.deepEqual(new Set(vms.map(({ pid }) => pid)), new Set(PIDS));
  let compared = 0;
  for (const pid of PIDS) {
    const reply = (target: string): unknown =>
      JSON.parse(readFileSync(`${CAPTURE}qmp/${pid}-${target}.json`, 'utf8'));
    const own = vcpus.filter((vcpu) => vcpu.pid === pid).sort((a, b) => a.id - b.id);
    // QEMU's paths count the vCPUs as it made them.
    const ofVcpus = parseVcpuStats(reply('vcpu')).sort((a, b) => a.qomPath.localeCompare(b.qomPath));
    assert.equal(own.length, ofVcpus.length);
    const pairs = [
      ...own.map((row, i) => [statisticsOfRow(row), histogramsOfRow(row), ofVcpus[i]] as const),
      [vms.find((vm) => vm.pid === pid)?.statistics ?? [], [], parseVmStats(reply('vm'))] as const,
    ];
    for (const [statistics, histograms, qmp] of pairs) {
      for (const [name, value] of statistics) {
        if (OF_THE_REQUEST.includes(name) || qmp?.values.has(name) !== true) continue;
        assert.equal(value, qmp.values.get(name), `${pid} ${name}`);
        compared++;
      }
      for (const [name, counts] of histograms)
        assert.deepEqual(counts, [...(qmp?.histograms.get(name) ?? [])].reverse(), `${pid} ${name}`);
    }
  }
  assert.ok(compared > 60, `${compared}`);
});

test('the threads of the vCPUs, their exits and the virtqueues of a real guest', () => {
  const { vcpus } = parseKvmRows(bytesOf('kvm'), 'kvm');
  assert.deepEqual(vcpus.map(({ id }) => id).sort(), [0, 0, 1]);
  for (const row of vcpus) {
    const { pid, tid } = row;
    const stat = parseTaskStat(readFileSync(`${CAPTURE}proc/${pid}/task/${tid}/stat`, 'latin1'));
    assert.match(stat.comm, /^CPU \d\/KVM$/);
    assert.ok((statisticsOfRow(row).get('exits') ?? 0) > 0);
  }
  // While the guest runs QEMU has ioeventfds. A legacy virtio disk has one port for its queues.
  const running = parseKvmRows(bytesOf('kvm-running'), 'kvm').vms;
  const ports = running.flatMap(({ notifyAddresses = [] }) => notifyAddresses.filter(({ isPort }) => isPort));
  assert.ok(ports.length > 0 && ports.every(({ address }) => address % 32 === 16), JSON.stringify(ports));
});

test('each real thread has the values of /proc', () => {
  const tasks = parseThreadRows(bytesOf('threads'), 'threads', new MaskTexts(2));
  const paths = PIDS.flatMap((pid) =>
    readdirSync(`${CAPTURE}proc/${pid}/task`).map((tid) => `${pid}/task/${tid}`),
  );
  assert.deepEqual(tasks.map(({ pid, tid }) => `${pid}/task/${tid}`).sort(), paths.sort());
  for (const task of tasks) {
    const file = (name: string): string =>
      readFileSync(`${CAPTURE}proc/${task.pid}/task/${task.tid}/${name}`, 'latin1');
    const { comm, startTime, utime, stime, guestTime, processor } = parseTaskStat(file('stat'));
    assert.deepEqual(
      { comm: task.comm, startTime: task.startTime, processor: task.processor, ...task.cpuTimes() },
      { comm, startTime, processor, utime, stime, guestTime },
    );
    assert.deepEqual(task.schedstat(), parseTaskSchedstat(file('schedstat')));
    const { cpusAllowedList, voluntarySwitches, involuntarySwitches } = parseTaskStatus(file('status'));
    assert.deepEqual(task.status(), { cpusAllowedList, voluntarySwitches, involuntarySwitches });
    assert.equal(task.migrations(), parseTaskMigrations(file('sched')));
  }
  assert.ok(
    tasks.some(({ policy }) => policy === 3) && tasks.some((task) => task.status().cpusAllowedList === '1'),
  );
});

test('captured rows that are damaged give rows or a SourceError', () => {
  const parsers = { kvm: (bytes: Buffer) => parseKvmRows(bytes, 'kvm'), threads: threadsIn };
  const damage = fc.record({
    file: fc.constantFrom('kvm' as const, 'threads' as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(300),
    bytes: fc.uint8Array({ maxLength: 64 }),
  });
  fc.assert(
    fc.property(damage, ({ file, at, cut, bytes }) => {
      const whole = bytesOf(file);
      const place = Math.floor(at * whole.length);
      const damaged = Buffer.concat([whole.subarray(0, place), bytes, whole.subarray(place + cut)]);
      try {
        parsers[file](damaged);
      } catch (error) {
        assert.ok(error instanceof SourceError);
      }
    }),
  );
});

function threadsIn(bytes: Buffer): unknown {
  return parseThreadRows(bytes, 'threads', new MaskTexts(2)).map((task) => [task.comm, task.status()]);
}
