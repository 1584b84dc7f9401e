import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { generateHistory } from '../../lab/history/generate.ts';
import type { HistorySink } from '../../lab/history/sink.ts';
import {
  agenda,
  between,
  type Scenario,
  type ScenarioOptions,
  type Watchers,
} from '../../lab/simhost/scenarios/scenario.ts';
import { paper } from '../../lab/simhost/scenarios.ts';

const START = 1_760_000_400;
const STEP = 15;
const RESTART = { from: 62, to: 64 };
const DOWN = { from: 121, to: 151 };
const AWAY = { from: 181, to: 211 };
const DRIFT_AT = 40;

/** Of one pinned VM whose pins nobody declared, so that the exporter has to remember them. */
function watched(options: ScenarioOptions): Scenario {
  const { host } = paper(options, 'affinity');
  const watchers: Watchers = { exporter: 'up', prometheus: 'up' };
  const exporter = (on: boolean): void => {
    watchers.exporter = on ? 'down' : 'up';
  };
  const script = agenda(host, [
    { at: DRIFT_AT, happen: () => host.faults.drift('paper', 'widened') },
    ...between(RESTART.from, RESTART.to, exporter),
    ...between(DOWN.from, DOWN.to, exporter),
    ...between(AWAY.from, AWAY.to, (on) => {
      watchers.prometheus = on ? 'away' : 'up';
    }),
  ]);
  return { host, watchers, script };
}

/** By name: the sum of a family's values, by second since the start. */
async function history(): Promise<Map<string, Map<number, number>>> {
  const sums = new Map<string, Map<number, number>>();
  const sink: HistorySink = {
    take: (families, at) => {
      for (const { name, values } of families) {
        const of = sums.get(name) ?? new Map<number, number>();
        sums.set(name, of);
        of.set(
          at - START,
          [...values].reduce((sum, value) => sum + value, 0),
        );
      }
    },
  };
  const hours = 300 / 3600;
  await generateHistory({
    scenario: watched,
    hours,
    stepSeconds: STEP,
    sampleSeconds: 5,
    seed: 1,
    start: START,
    sink,
  });
  return sums;
}

describe('the watcher of a host', () => {
  it('restarts, is down or is unreachable, and the history shows it', async () => {
    const sums = await history();
    const of = (name: string): ReadonlyMap<number, number> => sums.get(name) ?? assert.fail(name);
    const times = Array.from({ length: 21 }, (_, i) => i * STEP);
    const isDown = (at: number): boolean => at > DOWN.from && at <= DOWN.to;
    const there = times.filter((at) => !(at > AWAY.from && at <= AWAY.to));
    assert.deepEqual(
      [...of('up')],
      there.map((at) => [at, isDown(at) ? 0 : 1]),
    );
    const exits = of('kvm_vm_exits_total');
    assert.deepEqual(
      [...exits.keys()],
      there.filter((at) => !isDown(at)),
    );
    assert.ok(
      [...exits.values()].every((value, i, all) => i === 0 || value >= (all[i - 1] ?? 0)),
      'the kernel counts on',
    );
    const traced = of('kvm_vm_exits_by_reason_total');
    for (const [before, after] of [
      [60, 75],
      [120, 165],
    ] as const) {
      assert.ok(
        (traced.get(after) ?? 0) < (traced.get(before) ?? 0),
        `trace counters restart after ${before}`,
      );
    }
    const drift = of('kvm_vm_affinity_drift_threads');
    assert.deepEqual(
      [30, 45, 75, 165, 300].map((at) => Math.min(1, drift.get(at) ?? -1)),
      [0, 1, 1, 1, 1],
    );
  });
});
