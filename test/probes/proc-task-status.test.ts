import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { countCpuList } from '../../probes/cpu-list.ts';
import { parseTaskStatus, readTaskStatus } from '../../probes/proc-task-status.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { testCutIsNeverMisread, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const VCPU = captured('proc/244/task/252/status');

test('mask and context switches of captured threads are read', () => {
  assert.deepEqual(parseTaskStatus(VCPU), {
    cpusAllowedList: '0-1',
    voluntarySwitches: 16013,
    involuntarySwitches: 1606,
  });
  const host = capturedHost('toy-pio-hlt');
  assert.deepEqual(readTaskStatus(host, `${host.roots.procfs}/281/task/295`), {
    cpusAllowedList: '0-1',
    voluntarySwitches: 125,
    involuntarySwitches: 272,
  });
});

test('a name cannot imitate the fields below it', () => {
  // The kernel escapes the newline.
  const text = VCPU.replace('CPU 0/KVM', '\\nvoluntary_ctxt_switches:\t9');
  assert.equal(parseTaskStatus(text).voluntarySwitches, 16013);
});

test('a missing field, a negative number and an impossible one are refused', () => {
  assert.throws(() => parseTaskStatus(''), malformed);
  assert.throws(() => parseTaskStatus('Name:\tx\n'), malformed);
  assert.throws(() => parseTaskStatus(VCPU.replace('Cpus_allowed_list', 'x')), malformed);
  for (const bad of ['-16013', '', 'x', '9'.repeat(400), '1.5']) {
    assert.throws(() => parseTaskStatus(VCPU.replace('\t16013\n', `\t${bad}\n`)), malformed);
  }
  assert.equal(
    parseTaskStatus(VCPU.replace('\t16013\n', '\t18446744073709551615\n')).voluntarySwitches,
    2 ** 64,
  );
});

test('the running kernel shows this process, under whatever name it takes', (context) => {
  const name = '\nCpus_allowed_l';
  context.after(() => writeFileSync('/proc/self/comm', 'node'));
  writeFileSync('/proc/self/comm', name);
  // A process that has never waited has no voluntary switch.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  const status = readTaskStatus(liveHost(), `/proc/self/task/${process.pid}`);
  assert.ok(countCpuList(status.cpusAllowedList) > 0);
  assert.ok(status.voluntarySwitches > 0);
});

testCutIsNeverMisread('parseTaskStatus', parseTaskStatus, VCPU);
testRobustness('parseTaskStatus', parseTaskStatus, [VCPU]);
