import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { alertRules } from '../../alerts/alerting.ts';
import { recordingRules } from '../../alerts/recording.ts';
import {
  add,
  and,
  clampMin,
  compare,
  div,
  gauge,
  lastOverTime,
  max,
  mul,
  on,
  or,
  sub,
  subquery,
  sum,
  unless,
  type Vector,
} from '../../promql/promql.ts';
import { generated, NAMES, panelsOf, queriesOf } from '../../testing/generated.ts';
import { bracketsOf, parsePromql } from '../../testing/promql-tree.ts';

const VM = ['cluster', 'job', 'instance', 'vm'] as const;
type Labels = (typeof VM)[number];

/** The same expression, as the builder writes it and with brackets around every operand. */
interface Both {
  readonly built: Vector<Labels>;
  readonly bracketed: string;
}
const byVm = `by (${VM.join(', ')})`;
const matching = `on (${VM.join(', ')})`;

const { expression } = fc.letrec<{ expression: Both }>((tie) => {
  const operators: readonly [string, (a: Vector<Labels>, b: Vector<Labels>) => Vector<Labels>][] = [
    ['+', add],
    ['-', sub],
    ['*', mul],
    ['/', div],
    ['>', (a, b) => compare(a, '>', b)],
    ['==', (a, b) => compare(a, '==', b)],
    [`and ${matching}`, (a, b) => and(a, on(...VM), b)],
    [`unless ${matching}`, (a, b) => unless(a, on(...VM), b)],
    ['or', or],
    [`or ${matching}`, (a, b) => or(a, on(...VM), b)],
  ];
  const calls: readonly [(inside: string) => string, (of: Vector<Labels>) => Vector<Labels>][] = [
    [(inside) => `sum ${byVm} (${inside})`, (of) => sum(of, VM)],
    [(inside) => `max ${byVm} (${inside})`, (of) => max(of, VM)],
    [(inside) => `clamp_min(${inside}, 0)`, (of) => clampMin(of, 0)],
    [(inside) => `last_over_time((${inside})[1d:5m])`, (of) => lastOverTime(subquery(of, '1d', '5m'))],
  ];
  return {
    expression: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.constantFrom('kvm_vm_vcpus' as const, 'kvm_vm_affinity_drift_threads' as const).map((name) => ({
        built: gauge(name),
        bracketed: name,
      })),
      fc
        .tuple(fc.constantFrom(...operators), tie('expression'), tie('expression'))
        .map(([[text, build], a, b]) => ({
          built: build(a.built, b.built),
          bracketed: `(${a.bracketed}) ${text} (${b.bracketed})`,
        })),
      fc.tuple(fc.constantFrom(...calls), tie('expression')).map(([[text, build], of]) => ({
        built: build(of.built),
        bracketed: text(of.bracketed),
      })),
    ),
  };
});

/** The expression without one pair of its brackets, for each pair. */
function withoutOnePair(promql: string): string[] {
  return bracketsOf(promql).map(
    ({ from, to }) => promql.slice(0, from) + promql.slice(from + 1, to - 1) + promql.slice(to),
  );
}

describe('the builder writes the brackets that PromQL needs, and no others', () => {
  it('any expression means what it means with brackets around every operand', () => {
    fc.assert(
      fc.property(expression, ({ built, bracketed }) => {
        assert.deepEqual(parsePromql(built.promql), parsePromql(bracketed));
      }),
      { numRuns: 500 },
    );
  });

  it('without one pair of its brackets any expression means something else', () => {
    fc.assert(
      fc.property(expression, ({ built }) => {
        for (const less of withoutOnePair(built.promql))
          assert.notDeepEqual(parsePromql(less), parsePromql(built.promql), less);
      }),
      { numRuns: 500 },
    );
  });

  it('rules and dashboards have no needless brackets', () => {
    const ofPanels = NAMES.flatMap((name) =>
      panelsOf(generated(name)).flatMap((panel) => queriesOf(panel).map(({ expr }) => expr)),
    );
    const all = [
      ...Object.values(alertRules).map(({ expr }) => expr),
      ...Object.values(recordingRules).map(({ expr }) => expr.promql),
      ...ofPanels.map((expr) => expr.replaceAll(/\$__\w+/g, '1m')),
    ];
    assert.ok(all.length > 200, `${all.length}`);
    for (const expr of all)
      for (const less of withoutOnePair(expr))
        assert.notDeepEqual(parsePromql(less), parsePromql(expr), less);
  });
});
