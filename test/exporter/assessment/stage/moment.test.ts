import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeMoments } from '../../../../exporter/assessment/stage/moment.ts';
import { NOT_TRACED, type TraceReading } from '../../../../exporter/model/trace-reading.ts';
import type { Vm } from '../../../../exporter/model/vm.ts';
import { NOTHING_TRACED } from '../../../../testing/vm-trace.ts';

const vm = (key: string): Vm => ({ key }) as Vm;

/** Guests with one I/O and one kick each millisecond, so that both counts are always equal. */
function setUp(backend: TraceReading['backend'], monitored: readonly string[], counted = true) {
  let time = 1000;
  const asked: string[] = [];
  /** perf's last report. */
  const reported = new Map<string, number>();
  const sources = {
    vms: () => [vm('a'), vm('b'), vm('c')],
    readTrace: async (): Promise<TraceReading> => ({
      ...NOT_TRACED,
      backend,
      of: ({ key }) => ({
        ...NOTHING_TRACED,
        kickTotal: counted ? (backend === 'perf' ? reported.get(key) : time) : undefined,
      }),
    }),
    current: async ({ key }: Vm) => {
      if (backend !== 'perf') return;
      // Each at a time of its own.
      await new Promise((resolve) => setTimeout(resolve, { a: 1, b: 30, c: 60 }[key]));
      time += 700;
      reported.set(key, time);
    },
    ios: async (vms: readonly Vm[]) => {
      asked.push(vms.map(({ key }) => key).join());
      return new Map(vms.map(({ key }) => [key, time]));
    },
    hasMonitor: ({ key }: Vm) => monitored.includes(key),
    now: () => time,
  };
  return { asked, sources };
}

test('with tracefs all VMs are queried together, at the moment of the reading', async () => {
  const { asked, sources } = setUp('tracefs', ['a', 'b', 'c']);
  const evidence = await takeMoments(sources);
  assert.deepEqual(asked, ['a,b,c']);
  for (const { trace, ios, at } of evidence.values())
    assert.deepEqual([trace?.kickTotal, ios, at], [1000, 1000, 1000]);
});

test('with perf each VM is queried after perf has reported it', async () => {
  const { asked, sources } = setUp('perf', ['a', 'b', 'c']);
  const evidence = await takeMoments(sources);
  assert.deepEqual(asked, ['a', 'b', 'c']);
  const times = [...evidence].map(([key, { trace, ios, at }]) => [key, trace?.kickTotal, ios, at]);
  assert.deepEqual(times, [
    ['a', 1700, 1700, 1700],
    ['b', 2400, 2400, 2400],
    ['c', 3100, 3100, 3100],
  ]);
});

test('VMs that only libvirt serves are one request', async () => {
  const { asked, sources } = setUp('perf', ['a']);
  await takeMoments(sources);
  assert.deepEqual(asked.toSorted(), ['a', 'b,c']);
});

test('if no kicks are counted, no VM is queried', async () => {
  const { asked, sources } = setUp('tracefs', ['a'], false);
  const evidence = await takeMoments(sources);
  assert.deepEqual([asked, evidence.get('a')?.ios], [[], undefined]);
});

test('a moment of sampled events has their weight and the distance of their windows', async () => {
  const { sources } = setUp('bpf', []);
  const set = (name: string, sampledRatio: number, windowEvery?: number) => ({
    set: name,
    sampledRatio,
    windowEvery,
    entries: 1,
    dropped: 0,
    activeRatio: 1,
  });
  const sets = [set('exits', 0.01, 16), set('notifications', 0.25, 0.5), set('interrupts', 1)];
  const readTrace = async (): Promise<TraceReading> => ({ ...(await sources.readTrace()), sets });
  const moment = (await takeMoments({ ...sources, readTrace })).get('a');
  assert.deepEqual([moment?.weight, moment?.windowEvery], [4, 0.5]);
});
