import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLog, MAX_EVENTS } from '../../../exporter/assessment/event-log.ts';

test('the log keeps the last events, and their text is short', () => {
  const log = new EventLog(() => 5);
  for (let i = 0; i < MAX_EVENTS + 10; i++)
    log.add({ kind: 'vm_started', vm: 'db', what: 'x'.repeat(10_000), evidence: '' });
  const found = log.find({ limit: MAX_EVENTS });
  assert.deepEqual([found.length, found[0]?.id, found.at(-1)?.id], [MAX_EVENTS, 11, MAX_EVENTS + 10]);
  assert.equal(log.count, MAX_EVENTS + 10);
  assert.ok(found.every(({ what }) => what.length === 300 && what.endsWith('…')));
});
