import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Turns } from '../../../exporter/collectors/turns.ts';

test('in one period of collections each subject has one turn, and no collection has more than its share', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.nat({ max: 50 }),
      fc.nat({ max: 100 }),
      (every, earlier, subjects) => {
        const turns = new Turns(every);
        for (let i = 0; i < earlier; i++) turns.begin();
        const had = Array.from({ length: every }, () => {
          turns.begin();
          return Array.from({ length: subjects }, (_, i) => i).filter((i) => turns.isTurnOf(i));
        });
        assert.deepEqual(
          had.flat().sort((a, b) => a - b),
          Array.from({ length: subjects }, (_, i) => i),
        );
        for (const each of had) assert.ok(each.length <= Math.ceil(subjects / every));
      },
    ),
  );
});
