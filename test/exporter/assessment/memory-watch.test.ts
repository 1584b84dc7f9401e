import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryWatch } from '../../../exporter/assessment/memory-watch.ts';
import type { Vm, VmThread } from '../../../exporter/model/vm.ts';
import { hostTree } from '../../../testing/host-tree.ts';

const VMS = [{ key: '7:1', label: 'db', pid: 7 }] as unknown as Vm[];
const SCHED = 'CPU 0/KVM (8, #threads: 2)\n--------------------------------\n';

function watched(context: Parameters<typeof hostTree>[0]) {
  const { host, write, folder } = hostTree(context);
  let now = 0;
  const watch = new MemoryWatch(host, () => now);
  const threads = (): VmThread[] => [
    { role: 'vcpu', path: `${folder}/proc/7/task/8` } as unknown as VmThread,
  ];
  const round = (): string[] => {
    now += 10_000;
    return watch.changes(VMS, threads).map(({ vm, kind, evidence }) => `${vm} ${kind} ${evidence}`.trim());
  };
  return { write, round };
}

test('memory that goes to swap is an event, and its end after half a minute', (context) => {
  const { write, round } = watched(context);
  const swapped = (mib: number): string[] => {
    write('proc/7/status', `Name:\tqemu\nVmRSS:\t 1000 kB\nVmSwap:\t ${mib * 1024} kB\n`);
    return round();
  };
  assert.deepEqual(swapped(500), [], 'it was there before');
  assert.deepEqual(swapped(505), [], 'half a MiB a second');
  assert.deepEqual(swapped(705), ['db swap_began 200 MiB in 10 s']);
  assert.deepEqual(swapped(905), []);
  assert.deepEqual([swapped(905), swapped(905), swapped(400)].flat(), ['db swap_ended']);
});

test('a process that cannot be read is unknown', (context) => {
  const { round } = watched(context);
  assert.deepEqual([round(), round()].flat(), []);
});

test("moves of a VM's pages by NUMA balancing are an event of this VM", (context) => {
  const { write, round } = watched(context);
  const moved = (host: number, vm: number): string[] => {
    write('proc/vmstat', `pswpin 0\npswpout 0\nnuma_pages_migrated ${host}\n`);
    write('proc/7/task/8/sched', `${SCHED}numa_pages_migrated : ${vm}\n`);
    return round();
  };
  assert.deepEqual(moved(0, 0), []);
  assert.deepEqual(moved(5000, 5000), [], 'the threads are read from now on');
  assert.deepEqual(moved(10_000, 9000), ['db numa_balancing_began 4000 pages in 10 s']);
  assert.deepEqual([moved(10_000, 9000), moved(10_000, 9000), moved(10_000, 9000)].flat(), [
    'db numa_balancing_ended',
  ]);
  assert.deepEqual([moved(20_000, 9000), moved(30_000, 9000)].flat(), [], 'pages of others');
});
