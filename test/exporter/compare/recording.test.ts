import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import type { KeptSeries } from '../../../exporter/compare/memory-archive.ts';
import { Kept } from '../../../exporter/compare/recording/kept.ts';
import { readRecording } from '../../../exporter/compare/recording/read-recording.ts';
import { Recorder } from '../../../exporter/compare/recording/recorder.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { temporaryFolder } from '../../../testing/folder.ts';

const EVER = { start: 0, end: 1e12 };
const MAX_BYTES = 1024 * 1024;
const folder = temporaryFolder({ after });
let files = 0;
const newFile = (): string => join(folder, `recording-${++files}`);

/** A scrape of VMs with as many reads. */
function scrape(reads: Readonly<Record<string, number>>): Families {
  const families = new Families(100_000);
  for (const [vm, count] of Object.entries(reads)) {
    families.add('kvm_vm_vcpus', { vm }, 4);
    families.add('kvm_vm_threads', { vm, role: 'vcpu' }, 4);
    families.add('kvm_vm_disk_reads_completed_total', { vm, disk: 'vda' }, count);
    families.addHistogram(
      'kvm_vm_disk_duration_seconds',
      { vm, disk: 'vda', operation: 'read' },
      { buckets: [{ le: 0.5, count }], count, sum: undefined },
    );
  }
  return families;
}

async function record(
  recorder: Recorder,
  file: string,
  scrapes: readonly (readonly [number, Readonly<Record<string, number>>])[],
  maxBytes = MAX_BYTES,
): Promise<void> {
  for (const [at, reads] of scrapes) await recorder.record({ file, maxBytes }, at, scrape(reads).sorted());
}

async function read(
  file: string,
  vm = '*',
): Promise<{ series: readonly KeptSeries[]; incomplete: number; late: number }> {
  const kept = new Kept(vm, EVER);
  const damage = await readRecording(file, kept, () => undefined);
  return { series: kept.series, ...damage };
}

/** The samples of one series. */
function samplesOf(series: readonly KeptSeries[], metric: string, vm: string): [number, number][] {
  const found = series.filter(({ labels }) => labels['__name__'] === metric && labels['vm'] === vm);
  assert.equal(found.length, 1, `${metric} of ${vm}`);
  return (found[0]?.times ?? []).map((at, i) => [at, found[0]?.values[i] ?? Number.NaN]);
}

const READS = 'kvm_vm_disk_reads_completed_total';

test('a recording is read: only the series that compare needs, VMs that come and go, names of tenants', async () => {
  const file = newFile();
  const odd = 'a"\\\n{}b,c="d"';
  await record(new Recorder('kvm1'), file, [
    [100, { web: 1, [odd]: 7 }],
    [115, { web: 2 }],
    [130, { web: 3, db: 9 }],
  ]);
  assert.equal(statSync(file).mode & 0o777, 0o640 & ~process.umask());
  const { series, incomplete, late } = await read(file);
  assert.deepEqual([incomplete, late], [0, 0]);
  assert.deepEqual(samplesOf(series, READS, 'web'), [
    [100, 1],
    [115, 2],
    [130, 3],
  ]);
  assert.deepEqual(samplesOf(series, READS, 'db'), [[130, 9]]);
  assert.deepEqual(samplesOf(series, READS, 'a"\\?{}b,c="d"'), [[100, 7]]);
  assert.ok(series.every(({ labels }) => labels['instance'] === 'kvm1'));
  const names = new Set(series.map(({ labels }) => labels['__name__']));
  assert.deepEqual([...names].sort(), [
    'kvm_vm_disk_duration_seconds_bucket',
    'kvm_vm_disk_reads_completed_total',
    'kvm_vm_vcpus',
  ]);
  // Others are read only for hints on names.
  const web = (await read(file, 'web')).series.map(({ labels }) => `${labels['__name__']} ${labels['vm']}`);
  assert.ok(web.includes('kvm_vm_vcpus db') && !web.includes(`${READS} db`));
});

test('another daemon continues the same file, also after a daemon that was killed within a line', async () => {
  const file = newFile();
  await record(new Recorder('kvm1'), file, [[100, { web: 1 }]]);
  await record(new Recorder('kvm1'), file, [[115, { db: 5, web: 2 }]]);
  appendFileSync(file, '{"at":120,"val');
  await record(new Recorder('kvm1'), file, [[130, { web: 3 }]]);
  const { series, incomplete } = await read(file);
  assert.deepEqual(
    samplesOf(series, READS, 'web').map(([, value]) => value),
    [1, 2, 3],
  );
  assert.equal(incomplete, 1);
});

test('a file that is removed or emptied begins again', async () => {
  const file = newFile();
  const recorder = new Recorder('kvm1');
  await record(recorder, file, [[100, { web: 1 }]]);
  writeFileSync(file, '');
  await record(recorder, file, [[115, { web: 2 }]]);
  assert.deepEqual(samplesOf((await read(file)).series, READS, 'web'), [[115, 2]]);
});

test('a scrape after the clock was set back is left out', async () => {
  const file = newFile();
  await record(new Recorder('kvm1'), file, [
    [100, { web: 1 }],
    [90, { web: 2 }],
    [101, { web: 3 }],
  ]);
  const { series, late } = await read(file);
  assert.deepEqual(samplesOf(series, READS, 'web'), [
    [100, 1],
    [101, 3],
  ]);
  assert.equal(late, 1);
});

test('the file and the one before it stay within the limit, and are read together', async () => {
  const file = newFile();
  const recorder = new Recorder('kvm1');
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`vm-${i}`, i]));
  const scrapes = Array.from({ length: 60 }, (_, i) => [100 + i, many] as const);
  const limit = 64 * 1024;
  for (const each of scrapes) {
    await record(recorder, file, [each], limit);
    const sizes = [file, `${file}.old`].map((path) => (existsSync(path) ? statSync(path).size : 0));
    assert.ok((sizes[0] ?? 0) + (sizes[1] ?? 0) <= limit, String(sizes));
  }
  assert.ok(existsSync(`${file}.old`));
  const times = samplesOf((await read(file)).series, READS, 'vm-7').map(([at]) => at);
  assert.deepEqual(
    times,
    Array.from({ length: times.length }, (_, i) => 160 - times.length + i),
  );
  await assert.rejects(
    record(recorder, file, [[200, many]], 4096),
    /record\.maxBytes: two scrapes need \d+ bytes/,
  );
});

describe('files that the daemon does not write to', () => {
  const refused = (file: string, message: RegExp): Promise<void> =>
    assert.rejects(record(new Recorder('kvm1'), file, [[100, { web: 1 }]]), message);

  test('a file that is no recording, which stays as it is', async () => {
    const file = newFile();
    writeFileSync(file, 'root:x:0:0:');
    await refused(file, /record\.file: .* exists and is not a recording: give another path/);
    assert.equal(readFileSync(file, 'utf8'), 'root:x:0:0:');
  });
  test('a link', async () => {
    const file = newFile();
    symlinkSync('/etc/hostname', file);
    await refused(file, /record\.file: cannot write .*: ELOOP/);
  });
  test('a directory that is not there', () =>
    refused(join(folder, 'none/file'), /record\.file: cannot write .*: ENOENT/));
  test('a directory to which others may write', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    await refused(join(open, 'file'), /record\.file: .* may be written by others/);
  });
});

describe('damaged and hostile recordings', () => {
  const HEAD = '{"recording":1,"host":"kvm1"}\n';
  const FIRST = '{"at":100,"new":["kvm_vm_vcpus{vm=\\"web\\"}"],"values":[4]}\n';
  const refused = async (text: string | Buffer, message: RegExp): Promise<void> => {
    const file = newFile();
    writeFileSync(file, text);
    await assert.rejects(read(file), (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      assert.match(error.message, message);
      assert.ok(error.message.length < 500);
      return true;
    });
  };
  const CASES: readonly [string, string | Buffer, RegExp][] = [
    ['a scrape without a head', FIRST, /is damaged: line 1 /],
    ['a line that is no JSON, in the middle', `${HEAD}${FIRST}???\n${FIRST}`, /is damaged: line 3 /],
    ['more values than series', `${HEAD}{"at":1,"values":[1]}\n`, /is damaged: line 2 /],
    ['a value that is no number', `${HEAD}{"at":1,"new":["a{}"],"values":[{}]}\n`, /is damaged: line 2 /],
    ['a series that is none', `${HEAD}{"at":1,"new":["{{{"],"values":[1]}\n`, /is damaged: line 2 /],
    [
      'a long line',
      Buffer.concat([Buffer.from(HEAD), Buffer.alloc(33 * 1024 * 1024, 32)]),
      /line 2 is longer than/,
    ],
    ['another format', '{"recording":2,"host":"kvm1"}\n', /has format 2: use the version of kvm-telemetry/],
    ['nested arrays', `${HEAD}${'['.repeat(100_000)}\n${FIRST}`, /is damaged: line 2 /],
  ];
  for (const [name, text, message] of CASES) test(name, () => refused(text, message));

  test('a recording that is truncated at any byte gives its whole scrapes or one error', async () => {
    const file = newFile();
    const scrapes = Array.from({ length: 5 }, (_, i) => [100 + i, { web: i, db: 2 * i }] as const);
    await record(new Recorder('kvm1'), file, scrapes);
    const whole = readFileSync(file);
    const cut = newFile();
    for (let length = 1; length < whole.length; length += 7) {
      writeFileSync(cut, whole.subarray(0, length));
      try {
        const { series } = await read(cut);
        const seen = series.length === 0 ? [] : samplesOf(series, READS, 'web');
        assert.deepEqual(
          seen,
          scrapes.slice(0, seen.length).map(([at, { web }]) => [at, web]),
        );
      } catch (error) {
        assert.match(String(error), /ConfigError: --recording: .* is damaged: line 1 /);
      }
    }
  });

  test('any bytes give samples or one error', async () => {
    const file = newFile();
    const line = fc.oneof(
      fc.constant(HEAD.trim()),
      fc.constant(FIRST.trim()),
      fc.string(),
      fc.json(),
      fc
        .record({ at: fc.double(), new: fc.array(fc.string()), values: fc.array(fc.double()) })
        .map((each) => JSON.stringify(each)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.boolean(), async (lines, isWhole) => {
        writeFileSync(file, `${HEAD}${lines.join('\n')}${isWhole ? '\n' : ''}`);
        await read(file).catch((error: Error) => assert.equal(error.name, 'ConfigError', error.stack));
      }),
      { numRuns: 300 },
    );
  });
});
