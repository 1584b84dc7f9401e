import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Owner, Tally, type TallyRows } from '../../../exporter/trace/tally.ts';

/** Rows of a thread id, a reason, hits and a sum. */
function block(rows: readonly (readonly number[])[], dropped = 0): TallyRows {
  return { rows: rows.length, columns: Float64Array.from(rows.flat()), keys: 2, values: 2, dropped };
}

const owner = (vm: string, thread = 'vcpu0', startTime = 0): Owner => ({ vm, thread, startTime });
const counts = (tally: Tally, vm: string): unknown =>
  [...tally.of(vm)].map(({ thread, rest, count: { hits, sum } }) => [thread, ...rest, hits, sum]);
const hitsOf = (tally: Tally, vm: string): number =>
  [...tally.of(vm)].reduce((total, { count }) => total + count.hits, 0);

const A = owner('a');
const B = owner('b', 'vcpu0', 50);
const ofA = (tid: number): Owner | undefined => (tid === 1 ? A : undefined);

test('the growth of the map is added by thread and by the other keys', () => {
  const tally = new Tally();
  const iothread = owner('a', 'iothread:io0');
  const ownerOf = (tid: number) => ({ 1: A, 2: iothread, 3: B })[tid];
  const owned = tally.update(
    block([
      [1, 12, 5, 50],
      [2, 12, 1, 1],
      [3, 7, 9, 9],
      [4, 7, 100, 0],
    ]),
    ownerOf,
    60,
  );
  assert.equal(owned, 3);
  tally.update(
    block([
      [1, 12, 6, 70],
      [1, 7, 2, 3],
      [3, 7, 9, 9],
    ]),
    ownerOf,
    61,
  );
  assert.deepEqual(counts(tally, 'a'), [
    ['vcpu0', 12, 6, 70],
    ['iothread:io0', 12, 1, 1],
    ['vcpu0', 7, 2, 3],
  ]);
  assert.deepEqual(counts(tally, 'b'), [['vcpu0', 7, 9, 9]]);
  assert.deepEqual(counts(tally, 'unknown'), []);
});

test('if another program clears the map, counting continues from zero and no count falls', () => {
  const tally = new Tally();
  tally.update(block([[1, 12, 5, 500]]), ofA, 1);
  tally.update(block([]), ofA, 2);
  tally.update(block([[1, 12, 2, 20]]), ofA, 3);
  assert.deepEqual(counts(tally, 'a'), [['vcpu0', 12, 7, 520]]);
  // More hits than before but a smaller sum: only the sum shows that the map was cleared.
  tally.update(block([[1, 12, 3, 5]]), ofA, 4);
  assert.deepEqual(counts(tally, 'a'), [['vcpu0', 12, 8, 520]]);
});

test('after restart() the map counts from zero, even if its counts are larger than before', () => {
  const tally = new Tally();
  tally.update(block([[1, 12, 5, 50]], 7), ofA, 1);
  tally.restart();
  tally.update(block([[1, 12, 9, 90]], 8), ofA, 2);
  assert.deepEqual(counts(tally, 'a'), [['vcpu0', 12, 14, 140]]);
  assert.equal(tally.dropped, 15);
});

test('drops add up over all maps, even if another program cleared them', () => {
  const tally = new Tally();
  for (const dropped of [3, 5, 5, 2, 4]) tally.update(block([], dropped), ofA, 1);
  assert.equal(tally.dropped, 9);
});

test('an owner that is known only at the third reading gets all counts', () => {
  const tally = new Tally();
  const vm = owner('a', 'vcpu0', 10);
  const noOwner = () => undefined;
  assert.equal(tally.update(block([[1, 12, 5, 5]]), noOwner, 11), 0);
  tally.update(block([[1, 12, 6, 6]]), noOwner, 12);
  tally.update(block([[1, 12, 8, 8]]), () => vm, 13);
  assert.deepEqual(counts(tally, 'a'), [['vcpu0', 12, 8, 8]]);
});

test('a VM that reuses a thread id does not inherit its counts', () => {
  const tally = new Tally();
  tally.update(block([[1, 12, 100, 100]]), ofA, 40);
  tally.update(block([[1, 12, 103, 104]]), () => B, 60);
  assert.deepEqual(counts(tally, 'a'), [['vcpu0', 12, 100, 100]]);
  assert.deepEqual(counts(tally, 'b'), [['vcpu0', 12, 3, 4]]);
});

test('a VM does not get the counts of a host thread that had the id before', () => {
  const tally = new Tally();
  tally.update(block([[1, 12, 100, 100]]), () => undefined, 40);
  tally.update(block([[1, 12, 101, 101]]), () => B, 60);
  assert.deepEqual(counts(tally, 'b'), [['vcpu0', 12, 1, 1]]);
});

test('a VM that reuses a thread id and is known late inherits nothing and loses nothing', () => {
  const tally = new Tally();
  const noOwner = () => undefined;
  tally.update(block([[1, 12, 100, 100]]), ofA, 40);
  // Its last events, after the last reading with an owner.
  tally.update(block([[1, 12, 102, 102]]), noOwner, 45);
  tally.update(block([[1, 12, 106, 106]]), noOwner, 60);
  tally.update(block([[1, 12, 107, 107]]), () => B, 61);
  assert.equal(hitsOf(tally, 'b'), 5);
});

test('a thread that changes its name continues, and nothing is counted twice', () => {
  const tally = new Tally();
  tally.update(block([[1, 12, 5, 5]]), ofA, 1);
  tally.update(block([[1, 12, 7, 7]]), () => owner('a', 'vcpu7'), 2);
  assert.equal(hitsOf(tally, 'a'), 7);
});

test('VMs that have exited are forgotten, the others are kept', () => {
  const tally = new Tally();
  const ownerOf = (tid: number) => (tid === 1 ? A : B);
  tally.update(
    block([
      [1, 1, 1, 1],
      [2, 1, 2, 2],
    ]),
    ownerOf,
    60,
  );
  tally.keep(new Set(['b']));
  assert.deepEqual([hitsOf(tally, 'a'), hitsOf(tally, 'b')], [0, 2]);
});

type Step =
  | { readonly do: 'hit'; readonly tid: number; readonly reason: number; readonly count: number }
  | { readonly do: 'read' | 'clear' | 'restart' }
  | { readonly do: 'replace'; readonly tid: number; readonly knownAfter: number };

const TIDS = 3;
const tid = fc.nat({ max: TIDS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('hit' as const),
      tid,
      reason: fc.nat({ max: 2 }),
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('replace' as const), tid, knownAfter: fc.nat({ max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('clear' as const, 'restart' as const) }) },
);

/** One thread of a VM of its own. */
interface Thread {
  readonly owner: Owner;
  /** Readings until the inventory knows it. */
  knownAfter: number;
  /** The true events, and those that can still be counted: events of an unknown thread in a cleared map are lost. */
  truth: number;
  lost: number;
}

/** The kernel's map, the truth, and a tally that sees only the map. */
class World {
  readonly tally = new Tally();
  readonly #map = new Map<string, number[]>();
  readonly #threads = new Map<number, Thread>();
  readonly all: Thread[] = [];
  #now = 0;
  #vms = 0;

  constructor() {
    for (let i = 0; i < TIDS; i++) this.#begin(i, 0);
  }

  run(what: Step): void {
    this.#now++;
    if (what.do === 'hit') this.#hit(what.tid, what.reason, what.count);
    else if (what.do === 'read') this.read();
    else if (what.do === 'replace') {
      // A thread dies, its VM with it, and a reading is made before its id is used again: an id comes back late.
      this.read();
      const wasKnown = this.#threads.get(what.tid)?.knownAfter === 0;
      this.#threads.delete(what.tid);
      this.read();
      // If two unknown threads had the id, the map does not show which of them caused the events.
      this.#begin(what.tid, wasKnown ? what.knownAfter : 0);
    } else {
      // The exporter reads before it clears a map; another program does not.
      if (what.do === 'restart') this.read();
      for (const thread of this.#threads.values()) {
        if (what.do === 'clear' || thread.knownAfter > 0) thread.lost = thread.truth;
      }
      this.#map.clear();
      if (what.do === 'restart') this.tally.restart();
    }
  }

  read(): void {
    this.#now++;
    for (const thread of this.#threads.values()) if (thread.knownAfter > 0) thread.knownAfter--;
    const ownerOf = (id: number): Owner | undefined => {
      const thread = this.#threads.get(id);
      return thread === undefined || thread.knownAfter > 0 ? undefined : thread.owner;
    };
    this.tally.update(block([...this.#map.values()]), ownerOf, this.#now);
  }

  known(): Thread[] {
    return [...this.#threads.values()].filter(({ knownAfter }) => knownAfter === 0);
  }

  #begin(id: number, knownAfter: number): void {
    const thread = { owner: owner(`vm${this.#vms++}`, 'vcpu0', ++this.#now), knownAfter, truth: 0, lost: 0 };
    this.#threads.set(id, thread);
    this.all.push(thread);
  }

  #hit(id: number, reason: number, count: number): void {
    const row = this.#map.get(`${id} ${reason}`) ?? [id, reason, 0, 0];
    this.#map.set(`${id} ${reason}`, [id, reason, (row[2] ?? 0) + count, (row[3] ?? 0) + count * 10]);
    const thread = this.#threads.get(id);
    if (thread !== undefined) thread.truth += count;
  }
}

const sumsOf = (tally: Tally, vm: string): number =>
  [...tally.of(vm)].reduce((total, { count }) => total + count.sum, 0);

function runs(steps: readonly Step[], check: (world: World) => void): void {
  const world = new World();
  const highest = new Map<string, number>();
  for (const each of steps) {
    world.run(each);
    for (const {
      owner: { vm },
    } of world.all) {
      const hits = hitsOf(world.tally, vm);
      assert.ok(hits >= (highest.get(vm) ?? 0), `${vm} fell`);
      highest.set(vm, hits);
    }
  }
  world.read();
  check(world);
}

test('the totals equal the events after our own clears, reused ids and owners known late', () => {
  const ours = fc.array(
    step.filter((each) => each.do !== 'clear'),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(ours, (steps) => {
      runs(steps, (world) => {
        for (const {
          owner: { vm },
          truth,
          lost,
        } of world.known()) {
          assert.equal(hitsOf(world.tally, vm), truth - lost, vm);
          assert.equal(sumsOf(world.tally, vm), (truth - lost) * 10, vm);
        }
        for (const {
          owner: { vm },
          truth,
        } of world.all)
          assert.ok(hitsOf(world.tally, vm) <= truth, vm);
      });
    }),
    { numRuns: 500 },
  );
});

test('if another program clears the map, nothing is counted twice and no count falls', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      runs(steps, (world) => {
        for (const {
          owner: { vm },
          truth,
        } of world.all) {
          assert.ok(hitsOf(world.tally, vm) <= truth, vm);
          assert.ok(sumsOf(world.tally, vm) <= truth * 10, vm);
        }
      });
    }),
    { numRuns: 500 },
  );
});
