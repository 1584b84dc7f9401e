import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ReportWork, reportInThread } from '../../../exporter/compare/scheduled/in-thread.ts';
import type { ReportRequest, ReportResult } from '../../../exporter/compare/scheduled/report.ts';
import { type ReportSettings, Reports } from '../../../exporter/compare/scheduled/reports.ts';
import { temporaryFolder } from '../../../testing/folder.ts';
import { recordStages } from '../../../testing/recorded.ts';

const NOW = 1_795_752_000;

function settingsOf(directory: string, file: string): ReportSettings {
  const source = { recordings: [file] };
  return { source, directory, keep: 2, vm: '*', host: undefined, by: 'stage', last: '7d' };
}

/** Reports whose work is done at once. */
function quick(result: ReportResult): { reports: Reports; lines: string[]; requests: ReportRequest[] } {
  const lines: string[] = [];
  const requests: ReportRequest[] = [];
  const start = (request: ReportRequest): ReportWork => {
    requests.push(request);
    return { result: Promise.resolve(result), cancel: () => undefined };
  };
  return { reports: new Reports(start, { info: (_, message) => lines.push(message) }), lines, requests };
}

describe('reports of a recording, in a thread', () => {
  test('two stages: a page with both', async (context) => {
    const file = join(temporaryFolder(context), 'recording');
    await recordStages(file, ['original', 'affinity'], NOW);
    const { directory: _, keep: __, ...about } = settingsOf('', file);
    const result = await reportInThread({ ...about, now: NOW }).result;
    assert.ok('html' in result, JSON.stringify(result));
    assert.ok(/^<!doctype html>.*original.*affinity.*\+9\d\.\d%/is.test(result.html));
  });
  test('one stage: nothing to compare, which is no failure', async (context) => {
    const file = join(temporaryFolder(context), 'recording');
    await recordStages(file, ['original', 'original'], NOW);
    const { directory: _, keep: __, ...about } = settingsOf('', file);
    const result = await reportInThread({ ...about, now: NOW }).result;
    assert.ok('nothing' in result && /fewer than two stages/.test(result.nothing), JSON.stringify(result));
  });
  test('no recording: a problem', async () => {
    const { directory: _, keep: __, ...about } = settingsOf('', '/nonexistent/recording');
    const result = await reportInThread({ ...about, now: NOW }).result;
    assert.ok('problem' in result && /cannot read .*ENOENT/.test(result.problem), JSON.stringify(result));
  });
  test('a daemon that stops ends the report', async () => {
    const { directory: _, keep: __, ...about } = settingsOf('', '/dev/null');
    const work = reportInThread({ ...about, now: NOW });
    work.cancel();
    assert.deepEqual(await work.result, { nothing: 'the daemon stops' });
  });
});

describe('report.dir', () => {
  test('has the last reports, by time, and files of other programs', async (context) => {
    const directory = join(temporaryFolder(context), 'reports');
    const { reports, lines, requests } = quick({ html: '<!doctype html>' });
    for (const day of [0, 1, 2]) await reports.write(settingsOf(directory, 'f'), NOW + day * 86_400);
    writeFileSync(join(directory, 'mine.html'), 'mine');
    await reports.write(settingsOf(directory, 'f'), NOW + 3 * 86_400);
    const names = readdirSync(directory).sort();
    assert.deepEqual(names, ['compare-20261129T040000Z.html', 'compare-20261130T040000Z.html', 'mine.html']);
    assert.equal(readFileSync(join(directory, names[0] ?? ''), 'utf8'), '<!doctype html>');
    assert.equal(statSync(join(directory, names[0] ?? '')).mode & 0o007, 0);
    assert.equal(lines.at(-1), 'report written');
    assert.deepEqual(requests[0]?.source, { recordings: ['f'] });
  });
  test('without anything to compare: one line, and no file', async (context) => {
    const directory = join(temporaryFolder(context), 'reports');
    const { reports, lines } = quick({ nothing: 'one stage' });
    await reports.write(settingsOf(directory, 'f'), NOW);
    assert.deepEqual(lines, ['no report: one stage']);
    assert.throws(() => readdirSync(directory), /ENOENT/);
  });
  test('failures are errors of the task', async (context) => {
    const parent = temporaryFolder(context);
    await assert.rejects(
      quick({ problem: 'no samples' }).reports.write(settingsOf(parent, 'f'), NOW),
      /^Error: report: no samples$/,
    );
    const { reports } = quick({ html: 'page' });
    writeFileSync(join(parent, 'file'), '');
    await assert.rejects(
      reports.write(settingsOf(join(parent, 'file'), 'f'), NOW),
      /report\.dir: .*(EEXIST|ENOTDIR)/,
    );
    chmodSync(parent, 0o777);
    await assert.rejects(
      reports.write(settingsOf(parent, 'f'), NOW),
      /report\.dir: .* may be written by others/,
    );
  });
});
