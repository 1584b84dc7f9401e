import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TECHNIQUES } from '../../../../exporter/metrics/techniques.ts';
import { inWords, statesOf } from '../../../../exporter/model/stage.ts';
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
