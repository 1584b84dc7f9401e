import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HugePageWatch } from '../../../exporter/assessment/huge-page-watch.ts';
import { inventoryVm } from '../../../testing/inventory-vm.ts';

const VM = inventoryVm(10, { label: 'db' });
const SMALL_IN_2M = 512;

type Pages = readonly [small: number, huge: number];

function reading([small, huge]: Pages) {
  return {
    vm: new Map([
      ['pages_4k', small],
      ['pages_2m', huge],
      ['pages_1g', 0],
    ]),
  };
}

/** One reading for each; undefined: KVM does not report pages. */
function eventsOf(...readings: readonly (Pages | undefined)[]): string[] {
  const watch = new HugePageWatch();
  return readings.flatMap((pages) => {
    const given = pages === undefined ? { vm: new Map<string, number>() } : reading(pages);
    return watch.changes([VM], () => given).map(({ vm, kind, evidence }) => `${vm} ${kind}: ${evidence}`);
  });
}

/** Of 1 GiB, so many percent in huge pages. */
function gib(percent: number): Pages {
  const huge = Math.round((512 * percent) / 100);
  return [(512 - huge) * SMALL_IN_2M, huge];
}

test('huge pages that are lost are an event after three readings, and so is their return', () => {
  const whole = [gib(100), gib(98)];
  const split = [gib(30), gib(20), gib(10), gib(10)];
  assert.deepEqual(eventsOf(...whole, ...split, gib(80), gib(91), gib(95), gib(99), gib(99)), [
    'db huge_pages_lost: 10% of 1024 MiB, at best 100%',
    'db huge_pages_back: 99% of 1024 MiB, at best 100%',
  ]);
});

test('a live migration leaves only the small pages that the guest writes to', () => {
  const written: Pages = [1100, 0];
  assert.deepEqual(eventsOf([0, 34], written, written, written, [0, 34], [0, 34], [0, 34]), [
    'db huge_pages_lost: 0% of 4 MiB, at best 100%',
    'db huge_pages_back: 100% of 68 MiB, at best 100%',
  ]);
});

test('pages that KVM unmaps for a moment are no loss', () => {
  const unmapped: Pages = [100, 0];
  const mappedAgain: Pages = [20_000, 60];
  const events = eventsOf(gib(100), unmapped, unmapped, unmapped, unmapped, mappedAgain, gib(60), gib(100));
  assert.deepEqual(events, []);
});

test('memory in small pages that was not mapped before is no loss, nor is a balloon', () => {
  const [, huge] = gib(100);
  const grown: Pages = [huge * SMALL_IN_2M, huge];
  assert.deepEqual(eventsOf(gib(100), grown, grown, grown, grown), []);
  const shrunk: Pages = [0, huge / 4];
  assert.deepEqual(eventsOf(gib(100), shrunk, shrunk, shrunk, shrunk), []);
});

test('a guest in small pages from its start has lost nothing', () => {
  assert.deepEqual(eventsOf(gib(0), gib(0), gib(0), gib(0), gib(0)), []);
});

test('a guest that KVM stops mapping in pages of 1 GiB but in those of 2 MiB has lost nothing', () => {
  const giant = { vm: new Map(Object.entries({ pages_4k: 0, pages_2m: 0, pages_1g: 1 })) };
  const watch = new HugePageWatch();
  const events = [giant, ...Array.from({ length: 4 }, () => reading(gib(100)))].flatMap((each) =>
    watch.changes([VM], () => each),
  );
  assert.deepEqual(events, []);
});

test('a source without the numbers changes nothing, and a reading that is seen twice counts once', () => {
  assert.deepEqual(eventsOf(undefined, undefined), []);
  assert.equal(eventsOf(gib(100), gib(0), undefined, gib(0), undefined, gib(0)).length, 1);
  const watch = new HugePageWatch();
  watch.changes([VM], () => reading(gib(100)));
  const same = reading(gib(0));
  const events = Array.from({ length: 5 }, () => watch.changes([VM], () => same)).flat();
  assert.deepEqual(events, []);
});
