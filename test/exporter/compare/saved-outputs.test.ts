import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { comparisonOf } from '../../../exporter/compare/comparison.ts';
import { questionOnOutputs } from '../../../exporter/compare/question.ts';
import { savedOutputs } from '../../../exporter/compare/recording/saved-outputs.ts';
import { assess } from '../../../exporter/compare/statistics/assess.ts';
import type { AssessedConfiguration } from '../../../exporter/compare/statistics/assessment.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const folder = temporaryFolder({ after });

interface Saved {
  readonly name: string;
  /** Seconds of the epoch at which it was saved. */
  readonly at: number;
  readonly vmStart: number;
  readonly exporterStart: number;
  readonly reads: number;
  readonly kicks: number;
  /** Another VM is there too. */
  readonly hasOther?: boolean;
}

/** An output of /metrics in a file. */
function saved({ name, at, vmStart, exporterStart, reads, kicks, hasOther }: Saved): string {
  const path = join(folder, name);
  const lines = [
    '# HELP kvm_vm_vcpus Number of vCPU threads found.',
    'kvm_vm_vcpus{vm="web"} 4',
    ...(hasOther === true ? ['kvm_vm_vcpus{vm="web-2"} 4'] : []),
    `kvm_vm_start_time_seconds{vm="web"} ${vmStart}`,
    `kvm_vm_disk_reads_completed_total{vm="web",disk="vda"} ${reads}`,
    'kvm_vm_disk_writes_completed_total{vm="web",disk="vda"} 0',
    ...['kick', 'inject', 'eoi'].map(
      (step) => `kvm_vm_io_path_events_total{vm="web",step="${step}"} ${kicks}`,
    ),
    `process_start_time_seconds ${exporterStart}`,
    'nodejs_eventloop_lag_seconds NaN',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  utimesSync(path, at, at);
  return path;
}

async function assessed(paths: readonly string[], vm = 'web'): Promise<readonly AssessedConfiguration[]> {
  const { archive, times } = await savedOutputs(paths, vm);
  const quiet = { onProgress: () => undefined, warnings: () => [] };
  const comparison = await comparisonOf(archive, questionOnOutputs({ vm }, times, []), quiet);
  return assess(comparison, { confidence: 0.95 }).configurations;
}

const START = { vmStart: 1000, exporterStart: 900 };
const first = { name: 'first', at: 1100, ...START, reads: 1000, kicks: 1000 };
const second = { name: 'second', at: 1200, ...START, reads: 3000, kicks: 1500 };
const third = { name: 'third', at: 1300, ...START, reads: 9000, kicks: 2000 };
const fourth = { name: 'fourth', at: 1500, ...START, reads: 10_000, kicks: 2250 };

function valuesOf(configurations: readonly AssessedConfiguration[], id: string): (number | undefined)[] {
  return configurations.map(({ estimates }) => estimates.get(id)?.value);
}

describe('values of saved outputs, and no interval', () => {
  test('two: since the VM started, and in between', async () => {
    const configurations = await assessed([saved(first), saved(second)]);
    assert.deepEqual(
      configurations.map(({ name }) => name),
      ['before', 'after'],
    );
    assert.deepEqual(valuesOf(configurations, 'iops'), [10, 20]);
    assert.deepEqual(valuesOf(configurations, 'ios_per_kick'), [1, 4]);
    const change = configurations[1]?.againstFirst?.changes.get('exits_per_io');
    assert.deepEqual(
      [change?.verdict, change?.interval, change?.from, change?.to],
      ['unknown', undefined, 3, 0.75],
    );
    assert.equal(configurations[1]?.estimates.get('iops')?.why, 'only 1 sample, and 20 are needed');
    assert.match(configurations[0]?.notes.join() ?? '', /one sample, with its warm-up, so that no interval/);
  });
  test('two, of a VM that was started again in between: since each start', async () => {
    const configurations = await assessed([
      saved(first),
      saved({ ...second, vmStart: 1150, reads: 1000, kicks: 250 }),
    ]);
    assert.deepEqual(valuesOf(configurations, 'iops'), [10, 20]);
    assert.deepEqual(valuesOf(configurations, 'ios_per_kick'), [1, 4]);
  });
  test('three: the second is an end and a begin', async () => {
    const configurations = await assessed([first, second, third].map(saved));
    assert.deepEqual(valuesOf(configurations, 'iops'), [20, 60]);
    assert.deepEqual(valuesOf(configurations, 'ios_per_kick'), [4, 12]);
  });
  test('four: the time between the configurations does not count', async () => {
    const configurations = await assessed([first, second, third, fourth].map(saved));
    assert.deepEqual(valuesOf(configurations, 'iops'), [20, 5]);
    assert.deepEqual(valuesOf(configurations, 'ios_per_kick'), [4, 4]);
  });
});

describe('saved outputs that are refused', () => {
  const refused = (paths: readonly string[], message: RegExp, vm = 'web'): Promise<void> =>
    assert.rejects(assessed(paths, vm), (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      assert.match(error.message, message);
      return true;
    });
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    utimesSync(path, 1150, 1150);
    return path;
  };

  test('the exporter started after the VM', () =>
    refused(
      [saved({ ...first, exporterStart: 1050 }), saved(second)],
      /the exporter started after web, so .*: save an output at the begin/,
    ));
  test('in another order', () =>
    refused([saved(second), saved(first)], /first is not newer than second: .*cp -p/));
  test('one, and five', async () => {
    await refused([saved(first)], /one saved output: .*two to four files/);
    const all = [first, second, third, fourth, { ...fourth, name: 'fifth', at: 1600 }];
    await refused(all.map(saved), /5 saved outputs: /);
  });
  test('two with several VMs', () =>
    refused([saved({ ...first, hasOther: true }), saved(second)], /"web\*" matches 2 VMs in first/, 'web*'));
  test('no such VM', () =>
    refused([saved(first), saved(second)], /no VM "wbe" in first: did you mean "web"\?/, 'wbe'));
  test('a page of an error', () =>
    refused(
      [saved(first), file('page', '<html>404</html>\n')],
      /neither a recording nor a whole output .*\(line 1\)/,
    ));
  test('an output that was cut', () =>
    refused(
      [saved(first), file('cut', 'kvm_vm_vcpus{vm="web"} 4\nkvm_vm_vcpus{vm="w')],
      /\(line 2\): save it again/,
    ));
  test('metrics of something else', () =>
    refused([saved(first), file('other', 'go_threads 7\n')], /no metrics of kvm-telemetry/));
  test('a file that is not there, and a directory', async () => {
    await refused([join(folder, 'none'), saved(second)], /cannot read .*none: ENOENT/);
    await refused([folder, saved(second)], /is not a regular file/);
  });
});
