import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readIdleSeconds, readIdleStates } from '../../probes/sys-cpuidle.ts';
import { hostTree } from '../../testing/host-tree.ts';

const FOLDER = 'sys/devices/system/cpu/cpu3/cpuidle';

test('the idle states of a CPU in order, and the seconds in each; none without cpuidle', (context) => {
  const { host, write } = hostTree(context);
  for (const [state, name] of ['POLL', 'haltpoll idle', 'C6'].entries())
    write(`${FOLDER}/state${state}/name`, `${name}\n`);
  write(`${FOLDER}/state2/time`, '1500000\n');
  write(`${FOLDER}/driver/name`, 'menu\n');
  const states = readIdleStates(host, 3);
  assert.deepEqual(
    states.map(({ index, name }) => `${index} ${name}`),
    ['0 POLL', '1 haltpoll idle', '2 C6'],
  );
  assert.equal(readIdleSeconds(host, 3, { index: 2, name: 'C6' }), 1.5);
  assert.deepEqual(readIdleStates(host, 4), []);
});

test('a name that no driver has and a time that is no number are malformed', (context) => {
  const { host, write } = hostTree(context);
  const malformed = { name: 'SourceError', kind: 'malformed' };
  write(`${FOLDER}/state0/name`, 'a\nb\n');
  assert.throws(() => readIdleStates(host, 3), malformed);
  write(`${FOLDER}/state0/time`, '-1\n');
  assert.throws(() => readIdleSeconds(host, 3, { index: 0, name: 'POLL' }), malformed);
});
