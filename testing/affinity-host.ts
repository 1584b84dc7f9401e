import type { TestContext } from 'node:test';
import { Accepted } from '../exporter/assessment/affinity/accepted.ts';
import { Baselines } from '../exporter/assessment/affinity/baselines.ts';
import { Memory } from '../exporter/assessment/affinity/memory.ts';
import { type AffinitySettings, AffinityWatch } from '../exporter/assessment/affinity/watch.ts';
import type { Watched } from '../exporter/assessment/affinity/watched.ts';
import type { Residency } from '../exporter/model/residency.ts';
import type { Role } from '../exporter/model/roles.ts';
import type { Vm, VmThread } from '../exporter/model/vm.ts';
import type { Disk } from '../probes/sys-block.ts';
import type { CpuTopology } from '../probes/sys-cpu.ts';
import { type HostTree, hostTree } from './host-tree.ts';
import { inventoryVm } from './inventory-vm.ts';
import { topologyOf } from './observed-vms.ts';

/** The VM `web`, which started at second 10. */
export function vmOf(more: Partial<Vm> = {}): Vm {
  return inventoryVm(more.pid ?? 10, { label: 'web', name: 'web', ...more });
}

/** `vcpu0`, `iothread:io0`, `emulator`. */
export function threadOf(tree: HostTree, tid: number, label: string, startTime = 1000): VmThread {
  const role = (/^[a-z]+/.exec(label)?.[0] ?? 'other') as Role;
  return { tid, startTime, comm: '', role, label, path: `${tree.host.roots.procfs}/10/task/${tid}` };
}

/** A host whose clock, masks and VMs the test sets. It has one VM, `web`, with the thread 11, `vcpu0`. */
export function affinityHost(context: TestContext) {
  const tree = hostTree(context);
  const vcpu0 = threadOf(tree, 11, 'vcpu0');
  const state = {
    seconds: 100,
    vms: [vmOf()],
    disks: [] as Disk[],
    topology: topologyOf(1, 4, 1) as CpuTopology | undefined,
    threads: new Map<string, readonly VmThread[]>([['10:1000', [vcpu0]]]),
    residencies: new Map<number, Residency>(),
    settings: {
      rules: [],
      learn: true,
      maxMigrationsPerSecond: 0.5,
      sampleInterval: 1,
    } as AffinitySettings,
    refreshPins: (): void => undefined,
  };
  /** `+vcpu0 unpinned`, `-vcpu0 unpinned`. */
  const changes: string[] = [];
  const warnings: string[] = [];
  const watched: Watched = {
    get vms() {
      return state.vms;
    },
    get disks() {
      return state.disks;
    },
    get topology() {
      return state.topology;
    },
    threadsOf: ({ key }) => state.threads.get(key) ?? [],
    refreshPins: () => state.refreshPins(),
  };
  const warn = (_: object, message: string): void => void warnings.push(message);
  const memory = new Memory(tree.host, () => state.seconds * 1000);
  /** The daemon, or the one after a restart. */
  const start = (boot = 'boot-1', learns = true): AffinityWatch =>
    new AffinityWatch(
      {
        host: tree.host,
        watched,
        memory,
        accepted: new Accepted(`${tree.folder}/state`, boot, { info: warn, warn }),
        baselines: new Baselines(`${tree.folder}/state`, boot, { info: warn, warn }, learns),
        residencyOf: ({ tid }) => state.residencies.get(tid),
        onChange: ({ thread, kind }, began) => void changes.push(`${began ? '+' : '-'}${thread} ${kind}`),
        sinceBoot: () => state.seconds,
      },
      state.settings,
    );
  const watch = start();
  const mask = (tid: number, list: string): void =>
    tree.write(
      `proc/10/task/${tid}/status`,
      `Name:\tx\nCpus_allowed_list:\t${list}\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t1\n`,
    );
  return {
    tree,
    state,
    changes,
    warnings,
    watch,
    start,
    mask,
    vcpu0,
    /** Sets these masks and runs the next second. @returns the changes in it */
    async tick(masks: Readonly<Record<number, string>> = {}, on = watch): Promise<string[]> {
      for (const [tid, list] of Object.entries(masks)) mask(Number(tid), list);
      state.seconds++;
      if ((state.topology?.nodes.length ?? 0) > 1) await memory.readDue(state.vms);
      const before = changes.length;
      on.configure(state.settings);
      await on.tick();
      return changes.slice(before);
    },
    /** `2 (baseline)`; undefined without an expectation. */
    expected(label = 'vcpu0', on = watch): string | undefined {
      for (const vm of state.vms) {
        const thread = on.reading.of(vm)?.observed.threads.find((each) => each.label === label);
        if (thread?.expectation !== undefined)
          return `${thread.expectation.cpus.join()} (${thread.expectation.source})`;
      }
      return undefined;
    },
  };
}
