import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TECHNIQUES } from '../../../../exporter/metrics/techniques.ts';
import { statesOf } from '../../../../exporter/model/stage.ts';
import type { TechniqueVerdict } from '../../../../exporter/model/technique.ts';
import { ROUND, type ScriptedVm, type Situation, scriptedVm } from '../../../../testing/scripted-vm.ts';

/** Any configuration and work of a VM, except the facts that decide its visibility. */
const situations: fc.Arbitrary<Partial<Situation>> = fc.record({
  pins: fc.constantFrom('all', 'none', 'vcpus'),
  pollMaxNs: fc.constantFrom(0, 32_768),
  iothreads: fc.constantFrom(1, 3),
  queues: fc.constantFrom(1, 3, 4),
  uses: fc.constantFrom('own', 'robin', 'one queue', 'one vcpu'),
  iops: fc.constantFrom(0, 5, 200, 20_000),
  kicksPerIo: fc.constantFrom(0, 0.01, 0.25, 0.5, 1, 3),
  interruptsPerIo: fc.constantFrom(0, 0.01, 0.5, 1),
  monitor: fc.constantFrom('answers', 'silent'),
});

/** Changes that must not affect a state. */
const INVISIBLE: Readonly<Record<string, (vm: ScriptedVm) => void>> = {
  'too few I/Os': ({ now }) => void Object.assign(now, { iops: 5, kicksPerIo: 1, interruptsPerIo: 1 }),
  'no I/O': ({ now }) => void Object.assign(now, { iops: 0 }),
  'no trace events': ({ now }) => void Object.assign(now, { trace: 'none' }),
  'a restart of the daemon': (vm) => vm.restart(),
};
const invisible = fc.constantFrom(...Object.keys(INVISIBLE));

async function settle(vm: ScriptedVm, rounds = 12) {
  let reading = await vm.step();
  for (let i = 1; i < rounds; i++) reading = await vm.step();
  return reading.verdicts;
}

function isOnItsSide({ state, evidence }: TechniqueVerdict): boolean {
  if (state !== 'in_force') return true;
  return evidence.every(
    ({ name, wants, value, error, threshold }) =>
      // Locality does not depend on the number of queues in use. Near its threshold a number changes nothing.
      name === 'used_queues' || (wants === 'below' ? value - error < threshold : value + error >= threshold),
  );
}

test('too few I/Os, gaps and restarts never change a state', async (context) => {
  const property = fc.asyncProperty(
    situations,
    fc.array(invisible, { maxLength: 4 }),
    async (first, what) => {
      const vm = scriptedVm(context, first);
      const before = statesOf(await settle(vm));
      for (const each of what) {
        INVISIBLE[each]?.(vm);
        vm.away(ROUND * 7);
        const after = statesOf(await settle(vm, 8));
        // An unknown state may become known.
        for (const technique of TECHNIQUES)
          if (before[technique] !== 'unknown') assert.equal(after[technique], before[technique], each);
      }
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test('a technique in force after a busy time never contradicts the measured value', async (context) => {
  const busy = situations.map((first) => ({ ...first, iops: 20_000, monitor: 'answers' as const }));
  const property = fc.asyncProperty(fc.array(busy, { minLength: 1, maxLength: 4 }), async (all) => {
    const vm = scriptedVm(context, all[0]);
    for (const each of all) {
      Object.assign(vm.now, each);
      const verdicts = await settle(vm);
      for (const verdict of Object.values(verdicts))
        assert.ok(isOnItsSide(verdict), `${verdict.technique} ${JSON.stringify(verdict.evidence)}`);
    }
  });
  await fc.assert(property, { numRuns: 100 });
});

test('after a migration the VM counts as new, so nothing is lost', async (context) => {
  const property = fc.asyncProperty(situations, situations, async (first, then) => {
    const vm = scriptedVm(context, first);
    await settle(vm);
    vm.reborn();
    Object.assign(vm.now, then);
    assert.ok(!Object.values(statesOf(await settle(vm))).includes('lost'));
  });
  await fc.assert(property, { numRuns: 100 });
});
