import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { parseSchedstat, readSchedstat } from '../../probes/proc-schedstat.ts';
import { captured, capturedHost, liveHost } from '../../testing/captured.ts';
import { hostTree } from '../../testing/host-tree.ts';
import { outcome, testRobustness } from './robustness.ts';

const malformed = { name: 'SourceError', kind: 'malformed' };
const TEXT = captured('proc/schedstat');

test('run and wait time of the CPUs of captured hosts are read', () => {
  assert.deepEqual(parseSchedstat(TEXT), [
    { cpu: 0, run: 32540597298, wait: 9534623214, timeslices: 41635 },
    { cpu: 1, run: 35232457422, wait: 7880151643, timeslices: 30432 },
  ]);
  assert.deepEqual(readSchedstat(capturedHost('toy-pio-hlt', 't1')), [
    { cpu: 0, run: 9190779152, wait: 1073569253, timeslices: 9899 },
    { cpu: 1, run: 21212080225, wait: 1057627527, timeslices: 5121 },
  ]);
});

test('domain lines with names (version 17) are ignored', () => {
  const text =
    'version 17\ntimestamp 1\ncpu12 0 0 0 0 0 0 7 8 9\ndomain0 SMT 0003 0 0 0\ndomain1 MC ffff 0 0\n';
  assert.deepEqual(parseSchedstat(text), [{ cpu: 12, run: 7, wait: 8, timeslices: 9 }]);
});

test('a CPU line of another form is refused', () => {
  for (const line of [
    'cpu0',
    'cpu0 1 2 3',
    'cpu0 0 0 0 0 0 0 -7 8 9',
    'cpu0 0 0 0 0 0 0 7 8 9 10',
    'cpux 0 0 0 0 0 0 7 8 9',
  ]) {
    assert.throws(() => parseSchedstat(`version 15\n${line}\n`), malformed, line);
  }
  for (const text of ['', '\n', 'cpu0 0 0 0 0 0 0 7 8 9\n', 'versions']) {
    assert.throws(() => parseSchedstat(text), malformed);
  }
});

test('truncated text never yields a wrong number', () => {
  const whole = parseSchedstat(TEXT);
  for (let end = 0; end < TEXT.length; end++) {
    const cpus = outcome(parseSchedstat, TEXT.slice(0, end));
    if (cpus !== undefined) assert.deepEqual(cpus, whole.slice(0, cpus.length));
  }
});

test('a host with thousands of CPUs has more than 8 MiB', (context) => {
  const { host, write } = hostTree(context);
  const domain = `domain0 ${'ffffffff,'.repeat(256)} ${'0 '.repeat(45)}\n`;
  const cpu = (id: number): string => `cpu${id} 0 0 0 0 0 0 7 8 9\n${domain.repeat(6)}`;
  write(
    'proc/schedstat',
    `version 17\ntimestamp 1\n${Array.from({ length: 800 }, (_, id) => cpu(id)).join('')}`,
  );
  assert.equal(readSchedstat(host).length, 800);
});

test('the running kernel is read', (context) => {
  if (!existsSync('/proc/schedstat')) return context.skip('this kernel has no CONFIG_SCHEDSTATS');
  assert.ok(readSchedstat(liveHost()).length > 0);
});

testRobustness('parseSchedstat', parseSchedstat, [TEXT]);
