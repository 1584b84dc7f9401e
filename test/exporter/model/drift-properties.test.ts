import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DRIFT_KINDS } from '../../../exporter/model/drift.ts';
import type { ObservedThread, ObservedVm } from '../../../exporter/model/observed.ts';
import { formatCpuList } from '../../../kernel/cpu-list.ts';
import type { CpuTopology } from '../../../probes/sys-cpu.ts';
import { drifts, kinds, LIMIT, thread, topologyOf, vmOf, without } from '../../../testing/observed-vms.ts';

const LABELS = ['vcpu0', 'vcpu1', 'iothread:iothread1', 'vhost0', 'sqpoll0', 'emulator'];

const machine = fc
  .record({
    nodes: fc.integer({ min: 1, max: 3 }),
    cores: fc.integer({ min: 1, max: 4 }),
    smt: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ nodes, cores, smt }) => topologyOf(nodes, cores, smt));

/** A machine with some of its CPUs unplugged. */
const topology = fc.tuple(machine, fc.array(fc.nat(40), { maxLength: 3 })).map(([whole, picks]) =>
  without(
    whole,
    picks.map((pick) => 1 + (pick % (whole.cpus.length + 1))),
  ),
);

const ascending = (cpus: readonly number[]): number[] => [...new Set(cpus)].sort((a, b) => a - b);

/** Any host: VMs whose threads have any masks, expectations and places, even of CPUs that are not there. */
const anyHost = machine.chain((whole) => {
  const cpus = fc.array(fc.nat(whole.cpus.length - 1), { minLength: 1, maxLength: 4 }).map(ascending);
  const anyThread = (label: string) =>
    fc
      .record({
        allowed: cpus,
        expected: fc.option(cpus, { nil: undefined }),
        seenOn: fc.oneof(cpus, fc.constant([])),
        rate: fc.constantFrom(undefined, 0, LIMIT, LIMIT + 1),
      })
      .map(({ allowed, expected, seenOn, rate }) =>
        thread(label, allowed, expected, { seenOn, migrationsPerSecond: rate }),
      );
  const anyVm = (name: string) =>
    fc
      .record({
        threads: fc.tuple(...LABELS.map(anyThread)),
        memory: fc
          .array(fc.nat(100), { maxLength: 3 })
          .map((sizes) => new Map(sizes.map((size, node) => [node, size]))),
        deviceNodes: fc.array(fc.nat(2), { maxLength: 2 }),
        interruptCpus: cpus,
        domain: fc.constantFrom('', 'a-domain'),
      })
      .map((more) => vmOf(more.threads, { ...more, vm: name }));
  const offline = fc.array(fc.nat(whole.cpus.length), { maxLength: 2 });
  return fc.record({
    topology: offline.map((gone) =>
      without(
        whole,
        gone.map((cpu) => cpu + 1),
      ),
    ),
    vms: fc.tuple(anyVm('a'), anyVm('b')),
  });
});

test('on any topology there is no drift if each thread has its expected affinity on a core of its own', () => {
  fc.assert(
    fc.property(topology, fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }), (given, picks) => {
      const cores = given.cpus.filter(({ cpu, siblings }) => siblings[0] === cpu);
      const threads = cores.slice(0, LABELS.length * 2).map(({ siblings }, i) => {
        const mask = siblings.slice(0, 1 + ((picks[i] ?? 0) % siblings.length));
        return thread(LABELS[i % LABELS.length] ?? '', mask, [...mask], {
          seenOn: (picks[i + 20] ?? 0) > 1 ? mask.slice(-1) : mask,
          migrationsPerSecond: LIMIT,
        });
      });
      const vms = [
        vmOf(threads.slice(0, LABELS.length), { vm: 'a' }),
        vmOf(threads.slice(LABELS.length), { vm: 'b' }),
      ];
      assert.deepEqual(drifts(given, ...vms), []);
    }),
    { numRuns: 500 },
  );
});

test('there is no drift if no thread is pinned or expected to be', () => {
  fc.assert(
    fc.property(topology, fc.array(fc.nat(20), { minLength: 6, maxLength: 6 }), (given, picks) => {
      const all = given.cpus.map(({ cpu }) => cpu);
      fc.pre(all.length > 1);
      const threads = LABELS.map((label, i) =>
        thread(label, all, all, {
          seenOn: [all[(picks[i] ?? 0) % all.length] ?? 0],
          migrationsPerSecond: 99,
        }),
      );
      const memory = new Map([[0, 1e9]]);
      assert.deepEqual(drifts(given, vmOf(threads, { memory, deviceNodes: [0] })), []);
    }),
  );
});

test('the numbering of CPUs makes no difference', () => {
  const shuffled = anyHost.chain((host) => {
    const numbers = Array.from({ length: 40 }, (_, i) => i);
    return fc
      .shuffledSubarray(numbers, { minLength: 40, maxLength: 40 })
      .map((to) => ({ ...host, rename: (cpu: number) => to[cpu] ?? cpu }));
  });
  fc.assert(
    fc.property(shuffled, ({ topology: given, vms, rename }) => {
      const renamed = vms.map((vm) => renumbered(vm, rename));
      assert.deepEqual(kinds(renumberedTopology(given, rename), ...renamed), kinds(given, ...vms));
    }),
    { numRuns: 1000 },
  );
});

test('a drift names its thread, which has an expectation, each kind once, with CPUs or a rate', () => {
  let seen = new Set<string>();
  fc.assert(
    fc.property(anyHost, ({ topology: given, vms }) => {
      const found = drifts(given, ...vms);
      for (const { vm, thread: label, kind, why, fix } of found) {
        const owner = vms.find((each) => each.vm === vm)?.threads.find((each) => each.label === label);
        assert.ok(owner?.expectation !== undefined, `${vm} ${label}`);
        assert.match(why, kind === 'migrating' ? /migrations per second on CPUs \d/ : /\d/);
        assert.ok(
          fix === undefined || /^(taskset -pc|virsh \w+pin|migratepages|kvm-telemetry accept) /.test(fix),
          fix,
        );
        seen.add(kind);
      }
      assert.equal(
        new Set(found.map((drift) => `${drift.vm} ${drift.thread} ${drift.kind}`)).size,
        found.length,
      );
    }),
    { numRuns: 1000 },
  );
  // The hosts above must have all kinds, otherwise the test misses some.
  assert.deepEqual([...seen].sort(), [...DRIFT_KINDS].sort());
  seen = new Set();
});

function renumbered(vm: ObservedVm, rename: (cpu: number) => number): ObservedVm {
  const moved = (cpus: readonly number[]): number[] => ascending(cpus.map(rename));
  const threads = vm.threads.map((each): ObservedThread => {
    const allowed = moved(each.allowed);
    const { expectation } = each;
    return {
      ...each,
      allowed,
      allowedList: formatCpuList(allowed),
      seenOn: moved(each.seenOn),
      expectation: expectation === undefined ? undefined : { ...expectation, cpus: moved(expectation.cpus) },
    };
  });
  return { ...vm, threads, interruptCpus: moved(vm.interruptCpus) };
}

function renumberedTopology(given: CpuTopology, rename: (cpu: number) => number): CpuTopology {
  return {
    ...given,
    cpus: given.cpus
      .map((cpu) => ({ ...cpu, cpu: rename(cpu.cpu), siblings: ascending(cpu.siblings.map(rename)) }))
      .sort((a, b) => a.cpu - b.cpu),
    nodeOf: new Map([...given.nodeOf].map(([cpu, node]) => [rename(cpu), node])),
  };
}
