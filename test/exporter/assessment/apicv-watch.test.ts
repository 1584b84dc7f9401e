import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApicvWatch } from '../../../exporter/assessment/apicv-watch.ts';
import type { VmStatistics } from '../../../exporter/model/vm-statistics.ts';
import { inventoryVm } from '../../../testing/inventory-vm.ts';

const VM = inventoryVm(10, { label: 'web' });

/** One reading for each list of reasons; undefined: the source does not report APICv. */
function eventsOf(...readings: readonly (readonly string[] | undefined)[]): string[] {
  const watch = new ApicvWatch();
  return readings.flatMap((inhibited) => {
    const apicv = inhibited && { inhibited: new Set(inhibited), active: new Map<number, boolean>() };
    const statistics: Pick<VmStatistics, 'apicv'> = apicv === undefined ? {} : { apicv };
    return watch.changes([VM], () => statistics).map(({ vm, kind, what }) => `${vm} ${kind}: ${what}`);
  });
}

test('a lasting inhibit is an event, and so is its end', () => {
  assert.deepEqual(eventsOf([], [], ['hyperv'], ['hyperv'], ['hyperv'], [], [], [], []), [
    'web apicv_inhibited: hyperv',
    'web apicv_works: ',
  ]);
});

test('a momentary inhibit is no event', () => {
  assert.deepEqual(eventsOf([], ['irqwin'], ['irqwin'], [], ['irqwin'], []), []);
});

test('a VM that was first seen with an inhibit has lost nothing, but another reason is an event', () => {
  const both = ['x2apic', 'logical_id_aliased'];
  assert.deepEqual(eventsOf(['x2apic'], ['x2apic'], both, both, both), [
    'web apicv_inhibited: logical id aliased, x2apic',
  ]);
});

test('a source that does not report APICv changes nothing', () => {
  assert.deepEqual(eventsOf([], undefined, undefined, undefined, []), []);
  assert.deepEqual(eventsOf([], ['nested'], undefined, ['nested'], undefined, ['nested']), [
    'web apicv_inhibited: nested',
  ]);
});

test('a reading that is seen twice counts once, and a VM that ended is forgotten', () => {
  const watch = new ApicvWatch();
  const reading = (...inhibited: string[]) => ({
    apicv: { inhibited: new Set(inhibited), active: new Map() },
  });
  assert.deepEqual(
    watch.changes([VM], () => reading()),
    [],
  );
  const same = reading('nested');
  for (let i = 0; i < 5; i++)
    assert.deepEqual(
      watch.changes([VM], () => same),
      [],
    );
  assert.deepEqual(
    watch.changes([], () => undefined),
    [],
  );
  for (let i = 0; i < 5; i++)
    assert.deepEqual(
      watch.changes([VM], () => reading('nested')),
      [],
    );
});
