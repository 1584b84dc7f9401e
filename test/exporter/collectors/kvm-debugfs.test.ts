import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Collection } from '../../../exporter/collectors/collector.ts';
import { kvmDebugfs } from '../../../exporter/collectors/kvm-debugfs.ts';
import { StatisticMetrics } from '../../../exporter/collectors/statistic-metrics.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { CounterSets } from '../../../exporter/model/continued-counter.ts';
import { SourceError, type SourceErrorKind } from '../../../probes/errors.ts';

const HOUR_MS = 3_600_000;

interface Situation {
  lockdown: 'none' | 'integrity' | 'unknown';
  /** Error of writable files; undefined if they can be read. */
  fails: SourceErrorKind | undefined;
  works: boolean;
  already: readonly string[] | undefined;
}

/** A VM with one statistic that may be written and one that may not. */
function collector() {
  const situation: Situation = { lockdown: 'none', fails: undefined, works: false, already: undefined };
  let now = 0;
  let reads = 0;
  const own = kvmDebugfs(new StatisticMetrics(), new CounterSets(), () => now);
  const statistics = [
    { name: 'exits', path: '/debug/kvm/10-9/exits', readOnly: false },
    { name: 'pages_4k', path: '/debug/kvm/10-9/pages_4k', readOnly: true },
  ];
  const vm = { key: '10:1', label: 'web', directories: [{ name: '10-9', content: { statistics } }] };
  const host = {
    roots: { debugfs: '/debug', sysfs: '/sys' },
    attribute(path: string): string {
      if (situation.lockdown === 'unknown') throw new SourceError('absent', path, 'ENOENT', 'ENOENT');
      return situation.lockdown === 'none' ? '[none] integrity\n' : 'none [integrity]\n';
    },
    decimal(path: string): number {
      reads++;
      if (situation.fails !== undefined && path.endsWith('exits'))
        throw new SourceError(situation.fails, path, 'EPERM');
      return 7;
    },
  };
  return {
    situation,
    wait: (ms: number) => {
      now += ms;
    },
    async collect() {
      reads = 0;
      const families = new Families(100);
      const { already, works } = situation;
      const collection = {
        host,
        families,
        vms: [vm],
        kernel: { works },
        written: new Map(already === undefined ? [] : [[vm.key, new Set(already)]]),
        yieldIfDue: async () => undefined,
      } as unknown as Collection;
      const problems: SourceError[] = [];
      await own.collect(collection, (problem) => void problems.push(problem));
      return {
        metrics: families.sorted().map(({ name }) => name),
        problems: problems.map(({ kind, path }) => `${kind} ${path}`),
        reads,
      };
    },
  };
}

const ALL = ['kvm_vm_exits_total', 'kvm_vm_pages_4k', 'kvm_vm_source_info'];
const READ_ONLY = ['kvm_vm_pages_4k', 'kvm_vm_source_info'];
const DENIED = ['denied /debug/kvm/10-9/exits'];

test('after a denial writable files are not opened for an hour, and the denial is reported', async () => {
  const { situation, collect, wait } = collector();
  situation.lockdown = 'unknown';
  assert.deepEqual(await collect(), { metrics: ALL, problems: [], reads: 2 });
  situation.fails = 'denied';
  assert.deepEqual(await collect(), { metrics: READ_ONLY, problems: DENIED, reads: 2 });
  wait(HOUR_MS - 1);
  assert.deepEqual(await collect(), { metrics: READ_ONLY, problems: DENIED, reads: 1 });
  wait(1);
  situation.fails = undefined;
  assert.deepEqual(await collect(), { metrics: ALL, problems: [], reads: 2 });
});

test('under lockdown no writable file is opened; when it ends they are read at once', async () => {
  const { situation, collect } = collector();
  situation.lockdown = 'integrity';
  assert.deepEqual(await collect(), { metrics: READ_ONLY, problems: ['denied /debug/kvm'], reads: 1 });
  situation.lockdown = 'none';
  assert.deepEqual(await collect(), { metrics: ALL, problems: [], reads: 2 });
});

test('a denial is no problem if BPF reads the same statistics', async () => {
  const { situation, collect } = collector();
  Object.assign(situation, { lockdown: 'integrity', works: true });
  assert.deepEqual((await collect()).problems, []);
});

test('a file that cannot be read costs only its statistic; one of a VM that ends is no problem', async () => {
  const { situation, collect } = collector();
  situation.fails = 'malformed';
  const malformed = ['malformed /debug/kvm/10-9/exits'];
  assert.deepEqual(await collect(), { metrics: READ_ONLY, problems: malformed, reads: 2 });
  situation.fails = 'vanished';
  assert.deepEqual(await collect(), { metrics: [], problems: [], reads: 1 });
});

test('statistics of another source are not read again', async () => {
  const { situation, collect } = collector();
  situation.already = ['exits'];
  assert.deepEqual(await collect(), { metrics: READ_ONLY, problems: [], reads: 1 });
  situation.already = ['exits', 'pages_4k'];
  assert.deepEqual(await collect(), { metrics: [], problems: [], reads: 0 });
});
