import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TECHNIQUES } from '../../../../exporter/metrics/techniques.ts';
import { inWords, statesOf } from '../../../../exporter/model/stage.ts';
import { verdictInWords } from '../../../../exporter/model/technique-in-words.ts';
import { assertGenerated } from '../../../../testing/goldens.ts';
import { ROUND, scriptedVm } from '../../../../testing/scripted-vm.ts';
import { type Row, SITUATIONS } from '../../../../testing/situations.ts';

const HOUR = 3600 / ROUND;
const THEN = HOUR / 3;
/** Rounds after a change in which the state before it is still right. */
const SETTLING = 12;

for (const [title, rows] of SITUATIONS) {
  for (const row of rows) {
    test(`${title}: ${row.what}`, async (context) => {
      const vm = scriptedVm(context, row.first);
      const wrong: string[] = [];
      const settled = row.change === undefined ? SETTLING : THEN + SETTLING;
      let stage = '';
      for (let round = 0; round < HOUR; round++) {
        if (round === THEN && row.change !== undefined) await row.change(vm);
        const { verdicts, label } = await vm.step();
        const states = statesOf(verdicts);
        stage = label ?? inWords(states);
        if (round < settled) continue;
        const is = TECHNIQUES.map((technique) => states[technique]);
        if (is.join() !== row.is.join()) wrong.push(`round ${round}: ${is}`);
      }
      assert.deepEqual(
        wrong.slice(0, 3),
        [],
        `${wrong.length} of ${HOUR} are wrong; ${vm.changes.join(' | ')}`,
      );
      assert.equal(stage, row.stage);
    });
  }
}

const MARKS = [
  '<!-- truth table: UPDATE_GOLDEN=1 npm test -- technique/verdicts -->\n',
  '<!-- end of the truth table -->\n',
] as const;

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ what, is, stage }) =>
      `| ${what} | ${is.map((each) => each.replace('_', ' ')).join(' | ')} | ${stage.replaceAll('_', ' ')} |`,
  );
  return [
    '| situation | affinity | polling | batching | queue pinning | shown as stage |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

test('docs/verdicts.md has the truth table', () => {
  const tables = SITUATIONS.map(([title, rows]) => `### ${title}\n\n${tableOf(rows)}\n`).join('\n');
  assertGenerated('docs/verdicts.md', MARKS, tables);
});

test('a silent monitor changes no state; the evidence shows its age, and the poller becomes unknown', async (context) => {
  const vm = scriptedVm(context, {
    pins: 'all',
    pollMaxNs: 32_768,
    kicksPerIo: 0.05,
    interruptsPerIo: 0.05,
    iops: 60_000,
  });
  const polling = async () => {
    const { verdicts, features } = await vm.step();
    const { exitless_polling: verdict } = verdicts;
    return { verdict, words: verdictInWords(verdict), feature: features.get('iothread_polling') };
  };
  for (let round = 0; round < 30; round++) await vm.step();
  const measured = await polling();
  assert.equal(measured.verdict.state, 'in_force');
  assert.deepEqual(
    [measured.verdict.unjudged, measured.verdict.configured, measured.feature],
    [undefined, true, 1],
  );

  vm.now.monitor = 'silent';
  vm.now.pollMaxNs = 0;
  await polling();
  const soon = await polling();
  assert.equal(soon.verdict.unjudged?.seconds, 2 * ROUND);
  assert.equal(soon.verdict.configured, true);
  assert.match(
    soon.words,
    /^polling: in force since \S+: not judged for 20 s: the host cannot count the I\/Os/,
  );

  for (let round = 0; round < 20; round++) await vm.step();
  const late = await polling();
  assert.deepEqual(
    [late.verdict.state, late.verdict.configured, late.feature],
    ['in_force', undefined, undefined],
  );
  assert.match(
    late.words,
    /not judged for 4 min: .*configured: poll-max-ns of io0: 32768 when QEMU last answered$/,
  );

  vm.now.monitor = 'answers';
  vm.now.kicksPerIo = 1;
  for (let round = 0; round < 3; round++) await vm.step();
  const again = await polling();
  assert.deepEqual([again.verdict.state, again.verdict.configured, again.feature], ['lost', false, 0]);
  assert.equal(again.verdict.unjudged, undefined);
});
