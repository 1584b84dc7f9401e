import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { guardProcess } from '../../../exporter/daemon/last-resort.ts';

function setUp() {
  const said: string[] = [];
  let now = 0;
  const uncaught = Object.assign(new EventEmitter(), { exit: (code: number) => said.push(`exit ${code}`) });
  const at = (level: string) => (): void => void said.push(level);
  guardProcess({ error: at('error'), fatal: at('fatal') }, uncaught, () => now);
  return {
    said,
    wait(ms: number): void {
      now += ms;
    },
    throws: (code: string | undefined): void =>
      void uncaught.emit('uncaughtException', Object.assign(new Error('x'), { code })),
  };
}

test('without free descriptors the daemon lives, and logs this once a minute', () => {
  const { said, throws, wait } = setUp();
  for (const code of ['EMFILE', 'EMFILE', 'ENFILE']) throws(code);
  assert.deepEqual(said, ['error']);
  wait(61_000);
  throws('EMFILE');
  assert.deepEqual(said, ['error', 'error']);
});

test('any other uncaught error ends the daemon', () => {
  for (const code of ['EPIPE', undefined]) {
    const { said, throws } = setUp();
    throws(code);
    assert.deepEqual(said, ['fatal', 'exit 1']);
  }
});
