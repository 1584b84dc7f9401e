import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleetQuestionOf, type QuestionFlags, questionOf } from '../../../exporter/compare/question.ts';

const NOW = 1_795_752_000;
const asked = (flags: QuestionFlags, gated: readonly string[] = []) =>
  questionOf({ vm: 'web', ...flags }, NOW, gated);

test('stages of the last week, unless a time is given', () => {
  const { by, time, metrics, notes } = asked({ by: 'stage' });
  assert.deepEqual([by, time, notes], ['stage', { start: NOW - 7 * 86_400, end: NOW }, []]);
  assert.ok(metrics.length > 30);
  assert.deepEqual(asked({ by: 'phase', last: '6h' }).time, { start: NOW - 21_600, end: NOW });
  assert.deepEqual(asked({ by: 'phase', from: '1795750000', to: '1795751000' }).time, {
    start: 1_795_750_000,
    end: 1_795_751_000,
  });
  assert.deepEqual(asked({ by: 'phase', last: '1h', to: '1795751000' }).time, {
    start: 1_795_747_400,
    end: 1_795_751_000,
  });
});

test('two times', () => {
  const before = '2026-11-26T04:00Z/2026-11-26T05:00Z';
  const after = '2026-11-27T03:00Z/2026-11-27T04:00Z';
  const { by, notes } = asked({ before, after });
  assert.deepEqual(by, [
    { name: 'before', span: { start: NOW - 86_400, end: NOW - 82_800 } },
    { name: 'after', span: { start: NOW - 3600, end: NOW } },
  ]);
  assert.deepEqual(notes, []);
  assert.match(asked({ before: after, after: before }).notes.join(), /--before is later/);
});

test('reports the zone of local times', () => {
  assert.match(
    asked({ by: 'stage', from: '2026-11-26T04:00' }).notes.join(),
    /^Times without a zone are local: \S+\.$/,
  );
});

test('chosen metrics, in the order of the report, with those of thresholds', () => {
  const ids = (metric: readonly string[], gated: readonly string[]) =>
    asked({ by: 'stage', metric }, gated).metrics.map(({ id }) => id);
  assert.deepEqual(ids(['cpu', 'iops'], ['exits_per_io']), ['iops', 'exits_per_io', 'cpu']);
  assert.ok(ids([], ['cpu']).length > 30);
});

const REFUSED: [QuestionFlags, RegExp][] = [
  [{ vm: '', by: 'stage' }, /--vm is missing/],
  [{}, /give --by stage, --by phase, --by label=NAME, or --before/],
  [
    { by: 'stages' },
    /"stages" is not allowed: give stage or phase for VMs, or label=NAME for hosts: did you mean "stage"\?/,
  ],
  [{ by: 'stage', before: '1/2' }, /--by does not go with/],
  [{ before: '1795750000/1795751000' }, /go together/],
  [{ before: '1795750000/1795751000', after: '1795750900/1795751900' }, /overlap/],
  [{ before: '1795750000/1795751000', after: '1795751000/1795753000' }, /--after ends in the future/],
  [{ before: '1795750000/1795751000', after: '1795751000/1795751900', last: '7d' }, /--last has no effect/],
  [{ by: 'stage', last: '7d', from: '1795750000' }, /--last does not go with --from/],
  [{ by: 'stage', to: '1795799999' }, /--to is in the future/],
  [{ by: 'stage', from: '1795751000', to: '1795750000' }, /--from is not before --to/],
  [{ by: 'stage', last: 'week' }, /--last: "week" is no duration/],
  [{ by: 'stage', metric: ['iosp'] }, /--metric: no metric "iosp": did you mean "iops"\?/],
];
for (const [flags, message] of REFUSED) {
  test(`refuses ${JSON.stringify(flags)}`, () => {
    assert.throws(() => asked(flags), { name: 'ConfigError', message });
  });
}

test('refuses a threshold for no metric', () => {
  assert.throws(
    () => asked({ by: 'stage' }, ['exits_per_ios']),
    /--fail-if: no metric "exits_per_ios": did you mean "exits_per_io"\?/,
  );
});

test('--by label= asks for the hosts of a fleet', () => {
  const question = fleetQuestionOf({ by: 'label=kernel', host: 'kvm*', last: '2d', metric: ['cpu'] }, NOW, [
    'iops',
  ]);
  assert.equal(question?.grouping.metric, 'kvm_host_info');
  assert.deepEqual(
    question.metrics.map(({ id }) => id),
    ['iops', 'cpu'],
  );
  assert.equal(question.time.end - question.time.start, 2 * 86_400);
  assert.equal(fleetQuestionOf({ by: 'label=rack' }, NOW, [])?.grouping.metric, 'host:kvm_vms:count');
  assert.equal(fleetQuestionOf({ by: 'phase' }, NOW, []), undefined);
});

test('options that --by label= cannot use are refused', () => {
  const refused: readonly [QuestionFlags, RegExp][] = [
    [{ by: 'label=' }, /names no label/],
    [{ by: 'label=a-b' }, /names no label/],
    [{ by: 'label=kernel', vm: 'web-1' }, /--vm has no effect with --by label=/],
    [{ by: 'label=kernel', before: '1/2' }, /--before has no effect/],
    [{ by: 'label=kernel', metric: ['read_iops'] }, /no metric "read_iops"/],
    [{ by: 'label=kernel', from: '2', last: '1d' }, /--last does not go with --from/],
  ];
  for (const [flags, message] of refused)
    assert.throws(() => fleetQuestionOf(flags, NOW, []), { name: 'ConfigError', message });
});
