import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PLACED } from '../../../../exporter/assessment/plan/improvement.ts';
import type { VmPlan } from '../../../../exporter/assessment/plan/plan.ts';
import { HostPlans } from '../../../../exporter/assessment/plan/plans.ts';
import type { Source } from '../../../../exporter/model/expectation.ts';
import type { ObservedThread, ObservedVm } from '../../../../exporter/model/observed.ts';
import type { CpuTopology } from '../../../../probes/sys-cpu.ts';
import { drifts, hostOf, thread, topologyOf, vmOf } from '../../../../testing/observed-vms.ts';
import { run } from '../../../../testing/plan-host.ts';
import { planFor } from '../../../../testing/vm-plan.ts';

/** A VM's threads, and on how many cores they are. */
const LABELS = ['vcpu0', 'vcpu1', 'iothread:iothread1', 'vhost0'];

interface Shape {
  readonly nodes: number;
  readonly cores: number;
  readonly smt: number;
  /** Every second core of a node is isolated, and VMs use only those. */
  readonly isolated: boolean;
  /** The last node has no memory. */
  readonly memoryless: boolean;
}

const shape: fc.Arbitrary<Shape> = fc.oneof(
  { weight: 20, arbitrary: shapeOf(fc.integer({ min: 1, max: 3 }), fc.constantFrom(12, 16)) },
  { weight: 1, arbitrary: shapeOf(fc.constant(2), fc.constant(128)) },
);

function shapeOf(nodes: fc.Arbitrary<number>, cores: fc.Arbitrary<number>): fc.Arbitrary<Shape> {
  const smt = fc.constantFrom(1, 2);
  return fc.record({ nodes, cores, smt, isolated: fc.boolean(), memoryless: fc.boolean() });
}

function hostFrom({ nodes, cores, smt, isolated, memoryless }: Shape): CpuTopology {
  const whole = topologyOf(nodes, cores, smt);
  return {
    ...whole,
    cpus: whole.cpus.map((cpu) => ({ ...cpu, isolated: isolated && cpu.core % 2 === 1 })),
    memoryNodes: whole.nodes.filter((node) => nodes === 1 || !memoryless || node < nodes - 1),
  };
}

/** The drift of a thread: it stays, roams, takes the CPU of another thread, or any CPU. */
type Fate = { readonly kind: 'stays' | 'roams' | 'takes' | 'moves'; readonly pick: number };
const fate: fc.Arbitrary<Fate> = fc.record({
  kind: fc.constantFrom(
    'stays' as const,
    'stays' as const,
    'roams' as const,
    'takes' as const,
    'moves' as const,
  ),
  pick: fc.nat(10_000),
});

interface Made {
  readonly topology: CpuTopology;
  readonly vms: readonly ObservedVm[];
}

/** A host where each thread has a core of its own on the node of its VM, with room left; then some drift. */
const host: fc.Arbitrary<Made> = fc
  .record({
    shape,
    sources: fc.array(fc.constantFrom<Source>('baseline', 'libvirt', 'config'), {
      minLength: 2,
      maxLength: 2,
    }),
    cpuset: fc.boolean(),
    fates: fc.array(fate, { minLength: 8, maxLength: 8 }),
  })
  .map(({ shape: its, sources, cpuset, fates }) => {
    const topology = hostFrom(its);
    const all = topology.cpus.map(({ cpu }) => cpu);
    const homes = sources.map((_, i) => homesOf(topology, its, i));
    const vms = sources.map((source, i) => {
      const node = topology.nodes[i % topology.nodes.length] ?? 0;
      const threads = LABELS.map((label, j) => {
        const home = homes[i]?.[j] ?? 0;
        const { kind, pick } = fates[i * LABELS.length + j] ?? { kind: 'stays', pick: 0 };
        const taken = homes.flat()[pick % 8] ?? 0;
        const allowed = {
          stays: [home],
          roams: all,
          takes: [taken],
          moves: [all[pick % all.length] ?? 0],
        }[kind];
        return thread(label, allowed, [home], { expectation: { cpus: [home], source } });
      });
      return vmOf(threads, {
        vm: `vm${i}`,
        pid: 100 + i,
        deviceNodes: [node],
        cpuset: cpuset ? all : undefined,
        domain: source === 'libvirt' ? `vm${i}` : '',
        memory: new Map([[memoryOf(topology, node), 1e9]]),
      });
    });
    return { topology, vms };
  });

/** A memoryless node has its memory on node 0, which all nodes are equally far from. */
function memoryOf(topology: CpuTopology, node: number): number {
  return topology.memoryNodes.includes(node) ? node : 0;
}

/** One CPU of its own core for each thread of the VM, on the VM's node. */
function homesOf({ cpus, nodes }: CpuTopology, { isolated }: Shape, vm: number): number[] {
  const node = nodes[vm % nodes.length];
  const own = cpus.filter(
    (cpu) => cpu.node === node && cpu.isolated === isolated && cpu.siblings[0] === cpu.cpu,
  );
  const first = Math.floor(vm / nodes.length) * LABELS.length;
  return own.slice(first, first + LABELS.length).map(({ cpu }) => cpu);
}

const keysOf = (
  topology: CpuTopology,
  vms: readonly ObservedVm[],
  isMeant: (vm: string) => boolean,
): string[] =>
  drifts(topology, ...vms).flatMap(({ vm, thread: label, kind }) =>
    isMeant(vm) ? [`${vm} ${label} ${kind}`] : [],
  );

interface Placement {
  readonly threads: readonly (readonly [string, string, string])[];
  readonly memory: readonly number[];
}

/** Without the memory, if the plan has no undo for it. */
function placementOf(vms: readonly ObservedVm[], { steps }: VmPlan): Placement[] {
  const isUndone = steps.every(({ undo }) => undo !== undefined);
  return vms.map((vm) => ({
    threads: vm.threads.map(({ label, allowed, expectation }: ObservedThread) => [
      ...([label, allowed.join()] as const),
      // libvirt has no undo that takes a pin out of its state.
      vm.domain !== '' ? '' : `${expectation?.source} ${expectation?.cpus.join()}`,
    ]),
    memory: isUndone ? [...(vm.memory?.keys() ?? [])] : [],
  }));
}

function commandsOf({ steps }: VmPlan): string[] {
  return steps.map(({ command }) => command);
}

test('after the plan a VM has no drift, and no other VM has a new one; the undo restores all', () => {
  let drifted = 0;
  fc.assert(
    fc.property(host, fc.nat(1), ({ topology, vms }, which) => {
      const vm = vms[which % vms.length];
      assert.ok(vm);
      const plan = planFor(hostOf(topology, vms), vm);
      const after = run(topology, vms, commandsOf(plan));
      if (plan.steps.length > 0) drifted++;
      assert.deepEqual(plan.left, []);
      assert.deepEqual(
        keysOf(topology, after, (name) => name === vm.vm),
        [],
      );
      const before = new Set(keysOf(topology, vms, (name) => name !== vm.vm));
      assert.deepEqual(
        keysOf(topology, after, (name) => name !== vm.vm).filter((key) => !before.has(key)),
        [],
      );
      assert.deepEqual(placementOf(run(topology, after, plan.undo), plan), placementOf(vms, plan));
    }),
    { numRuns: 600 },
  );
  assert.ok(drifted > 300);
});

test('the plans of all VMs can be run one after another: no drift is left', () => {
  fc.assert(
    fc.property(host, ({ topology, vms }) => {
      const plans = new HostPlans(hostOf(topology, vms));
      const commands = vms.flatMap((vm) => plans.repairOf(vm)?.steps.map(({ command }) => command) ?? []);
      const after = run(topology, vms, commands);
      assert.deepEqual(
        keysOf(topology, after, () => true),
        [],
      );
    }),
    { numRuns: 300 },
  );
});

/** libvirt knows no pins of vhost workers. */
function usualSource(label: string, domain: string): Source {
  return domain === '' || label === 'vhost0' ? 'baseline' : 'libvirt';
}

const ascending = (cpus: readonly number[]): number[] => [...new Set(cpus)].sort((a, b) => a - b);

/** Any host at all: small cpusets, expectations that contradict, CPUs that all VMs claim. */
const anyHost: fc.Arbitrary<Made> = shapeOf(
  fc.integer({ min: 1, max: 3 }),
  fc.integer({ min: 1, max: 3 }),
).chain((its) => {
  const topology = hostFrom(its);
  const last = topology.cpus.length - 1;
  const cpus = fc.array(fc.nat(last), { minLength: 1, maxLength: 3 }).map(ascending);
  const cpuset = fc.option(fc.array(fc.nat(last), { minLength: 1, maxLength: 8 }).map(ascending), {
    nil: undefined,
  });
  const anyThread = (label: string, allowable: readonly number[] | undefined, domain: string) =>
    fc
      .record({
        pick: cpus,
        expected: fc.array(fc.nat(last + 2), { minLength: 1, maxLength: 3 }).map(ascending),
        source: fc.constantFrom<Source | undefined>('config', usualSource(label, domain), undefined),
        rate: fc.constantFrom(undefined, 0, 2),
      })
      .map(({ pick, expected, source, rate }) => {
        const within = pick.filter((cpu) => allowable?.includes(cpu) !== false);
        const allowed = within.length > 0 ? within : (allowable ?? pick);
        return thread(label, allowed, expected, {
          expectation: source === undefined ? undefined : { cpus: expected, source },
          migrationsPerSecond: allowed.length > 1 ? rate : 0,
        });
      });
  const anyVm = (name: string) =>
    fc.tuple(cpuset, fc.constantFrom('', name)).chain(([limit, domain]) =>
      fc
        .record({
          threads: fc.tuple(...[...LABELS, 'emulator'].map((label) => anyThread(label, limit, domain))),
          memory: fc.constantFrom(...topology.memoryNodes).map((node) => new Map([[node, 1e9]])),
          deviceNodes: fc.array(fc.nat(2), { maxLength: 1 }),
          mems: fc.option(fc.constant([topology.memoryNodes[0] ?? 0]), { nil: undefined }),
        })
        .map(({ threads, ...more }) =>
          vmOf(threads, { ...more, vm: name, domain, cpuset: limit, pid: name === 'a' ? 1 : 2 }),
        ),
    );
  return fc.tuple(anyVm('a'), anyVm('b')).map((vms) => ({ topology, vms }));
});

for (const goals of [[], PLACED]) {
  const what = goals.length === 0 ? 'a repair' : 'an improvement';
  test(`on any host ${what} disturbs no other VM, is not refused, moves each thread once, and can be undone`, () => {
    fc.assert(
      fc.property(anyHost, ({ topology, vms }) => {
        const [vm] = vms;
        assert.ok(vm);
        const plan = planFor(hostOf(topology, vms), vm, goals);
        const after = run(topology, vms, commandsOf(plan));
        const moved = plan.steps
          .filter(({ what: kind }) => kind === 'pin')
          .flatMap(({ vm: of, threads }) => threads.map((label) => `${of} ${label}`));
        assert.equal(new Set(moved).size, moved.length);
        const before = new Set(keysOf(topology, vms, (name) => name !== vm.vm));
        assert.deepEqual(
          keysOf(topology, after, (name) => name !== vm.vm).filter((key) => !before.has(key)),
          [],
        );
        const left = new Set(plan.left.map(({ thread: label }) => label));
        const rest = drifts(topology, ...after).filter(
          ({ vm: name, thread: label, other }) =>
            name === vm.vm && !left.has(label) && !(other !== undefined && left.has(other.thread.label)),
        );
        assert.deepEqual(
          rest.map(({ thread: label, kind, why }) => `${label} ${kind} ${why}`),
          [],
        );
        assert.deepEqual(placementOf(run(topology, after, plan.undo), plan), placementOf(vms, plan));
      }),
      { numRuns: 1000 },
    );
  });
}
