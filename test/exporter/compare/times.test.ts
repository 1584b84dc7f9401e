import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { durationOf, isLocal, spanOf, timeOf } from '../../../exporter/compare/times.ts';
import { ROOT } from '../../../testing/daemon.ts';

describe('times of a comparison', () => {
  test('takes ISO 8601 with a zone, and seconds of the epoch', () => {
    assert.equal(timeOf('--from', '2026-11-27T04:00Z'), 1_795_752_000);
    assert.equal(timeOf('--from', '2026-11-27T05:00:00+01:00'), 1_795_752_000);
    assert.equal(timeOf('--from', '1795752000'), 1_795_752_000);
    assert.deepEqual(spanOf('--before', '1795752000/2026-11-27T05:00Z'), {
      start: 1_795_752_000,
      end: 1_795_755_600,
    });
  });

  test('knows which times are local', () => {
    const local = ['2026-11-27', '2026-11-27T04:00', '2026-11-27 04:00:10'].map(isLocal);
    const others = ['1795752000', '2026-11-27T04:00Z', '2026-11-27T04:00-05:00'].map(isLocal);
    assert.deepEqual(
      [local, others],
      [
        [true, true, true],
        [false, false, false],
      ],
    );
  });

  test('refuses other text, with an example', () => {
    for (const text of ['yesterday', '2026-11-27T4:00', '2026-02-30T04:00Z', '2026-13-01', '-5', '', '12'])
      assert.throws(
        () => timeOf('--from', text),
        /^ConfigError: --from: .*(is no time: give for example|does not exist)/,
        text,
      );
    assert.throws(() => spanOf('--before', '2026-11-27T04:00Z'), /give FROM\/TO/);
    assert.throws(() => spanOf('--before', '1795752000/1795752000'), /is not after/);
  });

  test('a day with a change of the clock: refuses the hour that is missing and the one that occurs twice', () => {
    const script = `
      const { timeOf } = await import('${new URL('../../../exporter/compare/times.js', import.meta.url).href}');
      for (const text of process.argv.slice(1)) {
        try { console.log(timeOf('--from', text)); } catch (error) { console.log(error.message); }
      }`;
    const texts = ['2026-03-29T02:30', '2026-10-25T02:30', '2026-10-25T03:30', '2026-10-25T02:30+02:00'];
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script, ...texts], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, TZ: 'Europe/Berlin' },
    });
    const [missing = '', twice = '', after, zoned] = stdout.trim().split('\n');
    assert.match(missing, /does not exist here: the clock was moved forward/);
    assert.match(twice, /occurs twice: the clock was moved back/);
    assert.equal(Number(after), Date.parse('2026-10-25T02:30Z') / 1000);
    assert.equal(Number(zoned), Date.parse('2026-10-25T00:30Z') / 1000);
  });

  test('durations', () => {
    assert.deepEqual(
      ['90m', '7d', '1h30m'].map((text) => durationOf('--last', text)),
      [5400, 604_800, 5400],
    );
    for (const text of ['7', 'd', '7 d', '-7d', '1.5h'])
      assert.throws(() => durationOf('--last', text), /is no duration/);
  });
});
