import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CpuTimes, type RawCpuTimes, splitCpuTime } from '../../../exporter/model/cpu-split.ts';
import { parseTaskStat } from '../../../probes/proc-task-stat.ts';
import { caseText } from '../../../testing/cases.ts';

const total = ({ user, system, guest }: CpuTimes): number => user + system + guest;

test("case guest-grows-more-than-user: user stays, the guest is credited with the kernel's user time", () => {
  const stat = (at: string) => parseTaskStat(caseText('guest-grows-more-than-user', at, 'stat'));
  const first = splitCpuTime(stat('t0'), undefined);
  assert.deepEqual(first, { user: 255951, system: 1810922, guest: 3388311 });
  const second = splitCpuTime(stat('t1'), undefined, first);
  assert.deepEqual(second, { user: 255951, system: 1810928, guest: 3388355 });
});

test('guest time that was ahead of utime is not added to user later', () => {
  let times = splitCpuTime({ utime: 100, stime: 0, guestTime: 90 }, undefined);
  times = splitCpuTime({ utime: 110, stime: 0, guestTime: 105 }, undefined, times);
  assert.deepEqual(times, { user: 10, system: 0, guest: 100 });
  times = splitCpuTime({ utime: 120, stime: 0, guestTime: 105 }, undefined, times);
  assert.deepEqual(times, { user: 15, system: 0, guest: 105 });
});

test('a thread whose guest time is above its utime has no user time, and not less', () => {
  assert.deepEqual(splitCpuTime({ utime: 7, stime: 2, guestTime: 9 }, undefined), {
    user: 0,
    system: 2,
    guest: 7,
  });
});

test('the tick that two roundings lose is restored, and a clock of another kind is not taken for it', () => {
  const raw = { utime: 10, stime: 5, guestTime: 0 };
  assert.equal(total(splitCpuTime(raw, 16.4)), 16);
  assert.equal(total(splitCpuTime(raw, 15.9)), 15);
  assert.equal(total(splitCpuTime(raw, 4000)), 15);
  assert.equal(total(splitCpuTime(raw, 0)), 15);
  assert.equal(total(splitCpuTime(raw, undefined)), 15);
});

/** A thread as the kernel has it: precise run time, of which tick sampling sees parts by chance. */
const life = fc.array(
  fc.record({
    ran: fc.double({ min: 0, max: 300, noNaN: true }),
    system: fc.double({ min: 0, max: 1, noNaN: true }),
    guest: fc.double({ min: 0, max: 1.3, noNaN: true }),
  }),
  { maxLength: 60 },
);

test('no mode falls, and the sum is within a tick of the run time, for any samples of the kernel', () => {
  fc.assert(
    fc.property(life, fc.boolean(), (steps, hasSchedstat) => {
      let run = 0;
      let stime = 0;
      let guest = 0;
      let before: CpuTimes | undefined;
      for (const step of steps) {
        run += step.ran;
        // cputime_adjust(): neither falls, and the two are the run time.
        stime += step.ran * step.system;
        guest += step.ran * step.guest;
        const raw: RawCpuTimes = {
          utime: Math.floor(run - stime),
          stime: Math.floor(stime),
          guestTime: Math.floor(guest),
        };
        const now = splitCpuTime(raw, hasSchedstat ? run : undefined, before);
        for (const mode of ['user', 'system', 'guest'] as const) {
          assert.ok(now[mode] >= (before?.[mode] ?? 0), `${mode} fell`);
        }
        assert.ok(total(now) <= run + 1e-6, 'more than it ran');
        assert.ok(total(now) > run - (hasSchedstat ? 1 : 2) - 1e-6, `${total(now)} of ${run}`);
        assert.ok(now.guest <= raw.guestTime, 'more than the guest had');
        before = now;
      }
    }),
  );
});

test('the counter never falls, for any readings in any order', () => {
  const reading = fc.record({ utime: fc.nat(1000), stime: fc.nat(1000), guestTime: fc.nat(1000) });
  fc.assert(
    fc.property(fc.array(fc.tuple(reading, fc.option(fc.nat(3000), { nil: undefined }))), (readings) => {
      let before: CpuTimes | undefined;
      for (const [raw, run] of readings) {
        const now = splitCpuTime(raw, run, before);
        for (const mode of ['user', 'system', 'guest'] as const) {
          assert.ok(now[mode] >= (before?.[mode] ?? 0), `${mode} fell`);
        }
        before = now;
      }
    }),
  );
});
