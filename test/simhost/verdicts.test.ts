import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Family } from '../../exporter/metrics/families.ts';
import { TECHNIQUES, type TechniqueState } from '../../exporter/metrics/techniques.ts';
import { generateHistory } from '../../lab/history/generate.ts';
import { MINUTE } from '../../lab/simhost/scenarios/scenario.ts';
import { assertGenerated } from '../../testing/goldens.ts';
import { simulatedRoot } from '../../testing/simulated.ts';
import {
  SIMULATED_ROWS,
  SIMULATED_SITUATIONS,
  type SimulatedRow,
  type States,
  simulatedSituations,
} from '../../testing/simulated-situations.ts';

const START = 1_760_000_400;
const ROUND = 30;
/** As in the other truth table: time after a change in which the earlier state is still right. */
const SETTLING = 2 * MINUTE;
/** Collectors that do not affect verdicts. */
const UNUSED = [
  'threads',
  'cpu_quota',
  'kvm_debugfs',
  'block',
  'cpus',
  'schedstat',
  'interrupts',
  'pressure',
];

type Seen = Map<string, Map<string, TechniqueState>>;

/** The states by VM and technique; empty while the exporter is down. */
function statesIn(families: readonly Family[]): Seen {
  const seen: Seen = new Map();
  const family = families.find(({ name }) => name === 'kvm_vm_technique_state');
  for (const [i, labels] of (family?.labels ?? []).entries()) {
    if (Number(family?.values[i]) !== 1) continue;
    const [, vm = '', technique = '', state = ''] =
      /^vm="([^"]*)",technique="([^"]*)",state="([^"]*)"/.exec(labels) ?? assert.fail(labels);
    const states = seen.get(vm) ?? new Map<string, TechniqueState>();
    seen.set(vm, states.set(technique, state as TechniqueState));
  }
  return seen;
}

/** The right states this many seconds after the start; undefined shortly after a change. */
function expectedAt({ is, changes = [] }: SimulatedRow, at: number): States | undefined {
  const all: readonly (readonly [number, States])[] = [
    [0, is],
    ...changes.map(([minute, , after]) => [minute * MINUTE, after] as const),
  ];
  const [since, states] = all.findLast(([from]) => from <= at) ?? [0, is];
  return at < since + SETTLING ? undefined : states;
}

test('an hour of each configuration, change and fault on the simulated host: no wrong verdict', async (context) => {
  const state = simulatedRoot(context);
  const wrong: string[] = [];
  const counts = { right: 0, unknown: 0 };
  await generateHistory({
    scenario: simulatedSituations(state),
    hours: 1,
    stepSeconds: MINUTE,
    sampleSeconds: ROUND,
    tickSeconds: ROUND,
    seed: 1,
    start: START,
    settings: {
      'state.dir': state,
      ...Object.fromEntries(UNUSED.map((name) => [`collector.${name}`, false])),
    },
    sink: {
      take: (families, at) => {
        const seen = statesIn(families);
        if (seen.size === 0) return;
        for (const [vm, row] of SIMULATED_ROWS) {
          const expected = expectedAt(row, at - START);
          for (const [i, technique] of TECHNIQUES.entries()) {
            const [is, right] = [seen.get(vm)?.get(technique), expected?.[i]];
            if (right === undefined) continue;
            if (is === right) counts.right++;
            else if (is === 'unknown') counts.unknown++;
            else
              wrong.push(`minute ${(at - START) / MINUTE}: ${row.what}: ${technique} is ${is}, not ${right}`);
          }
        }
      },
    },
  });
  assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${counts.right + wrong.length} are wrong`);
  // A monitor that responds late on a busy machine makes a verdict unknown, never wrong.
  const all = SIMULATED_ROWS.size * TECHNIQUES.length * 60;
  assert.ok(counts.right > 0.8 * all, `${counts.right} of ${all} are right, ${counts.unknown} unknown`);
  context.diagnostic(`${counts.right} verdicts are right, ${counts.unknown} unknown`);
});

const MARKS = [
  '<!-- simulated host: UPDATE_GOLDEN=1 npm test -- simhost/verdicts -->\n',
  '<!-- end of the simulated host -->\n',
] as const;

function tableOf(rows: readonly SimulatedRow[]): string {
  const lines = rows.map(({ what, is, changes = [] }) => {
    const [, , last] = changes.at(-1) ?? [0, undefined, is];
    return `| ${what} | ${last.map((state) => state.replace('_', ' ')).join(' | ')} |`;
  });
  const head = ['| situation | affinity | polling | batching | queue pinning |', '|---|---|---|---|---|'];
  return [...head, ...lines].join('\n');
}

test('docs/verdicts.md has the situations of the simulated host', () => {
  const tables = SIMULATED_SITUATIONS.map(([title, rows]) => `### ${title}\n\n${tableOf(rows)}\n`).join('\n');
  assertGenerated('docs/verdicts.md', MARKS, tables);
});
