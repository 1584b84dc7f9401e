import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cause, Diagnosis } from '../../exporter/assessment/cause/diagnosis.ts';
import { diagnosisOf } from '../../exporter/page/causes.ts';
import { generateHistory } from '../../lab/history/generate.ts';
import { CAUSES, CAUSES_AT, causes } from '../../lab/simhost/scenarios/causes.ts';
import { MINUTE } from '../../lab/simhost/scenarios/scenario.ts';

const START = 1_760_000_400;
const END = CAUSES_AT + 6 * MINUTE;
/** By VM of the scenario. */
const RIGHT: Readonly<Record<string, Cause['cause']>> = {
  quota: 'quota',
  neighbour: 'run_queue_wait',
  device_slow: 'device',
  lost_polling: 'lost_technique',
  lost_pin: 'lost_pin',
  apicv_lost: 'apicv_inhibited',
  migration: 'migration',
  frequency: 'frequency',
  iothread_quota: 'quota',
  interrupt_storm: 'interrupts',
  memory_swap: 'memory_swap',
};

function lineOf(what: string, { worsening, causes: [first, ...others] }: Diagnosis): string {
  const percent = (share: number | undefined): string =>
    share === undefined ? '' : `${Math.round(share * 100)}%`;
  const named = first === undefined ? 'nothing' : `\`${first.cause}\`, up to ${percent(first.explains)}`;
  const more = others.map(({ cause, explains }) => `\`${cause}\` ${percent(explains)}`).join(', ');
  return `| ${what} | -${percent(worsening?.loss)} | ${named} | ${more} | ${first?.text ?? ''} |`;
}

test('the cause is named first in at least 10 of 11 incidents of the simulated host', async (context) => {
  const found = new Map<string, Diagnosis>();
  await generateHistory({
    scenario: causes,
    hours: END / 3600,
    stepSeconds: MINUTE,
    sampleSeconds: 10,
    tickSeconds: 5,
    seed: 1,
    start: START,
    sink: { take: () => undefined },
    inspect: ({ history, events }, at) => {
      if (at !== END) return;
      for (const vm of Object.keys(CAUSES)) found.set(vm, diagnosisOf(vm, history, events));
    },
  });
  const of = (vm: string): Diagnosis => found.get(vm) ?? assert.fail(vm);
  for (const [vm, { what }] of Object.entries(CAUSES)) context.diagnostic(lineOf(what, of(vm)));
  const names = Object.keys(RIGHT);
  const right = names.filter((vm) => of(vm).causes[0]?.cause === RIGHT[vm]);
  assert.ok(right.length >= 10, `only ${right.join(', ')}`);
  for (const vm of names) {
    const { worsening } = of(vm);
    assert.equal(worsening?.metric, 'iops', vm);
    const late = worsening.since - START - CAUSES_AT;
    assert.ok(Math.abs(late) <= 20, `${vm}: ${late} s late`);
  }
  assert.match(of('neighbour').causes[0]?.text ?? '', /other programs use [\d.]+ of its CPUs, before 0/);
  assert.deepEqual([of('calm').worsening, of('calm').causes], [undefined, []]);
  // The exporter does not read the guest's demand, so the answer is that nothing else changed.
  assert.deepEqual(
    of('less_load').causes.filter(({ explains }) => explains > 0.2),
    [],
  );
});
