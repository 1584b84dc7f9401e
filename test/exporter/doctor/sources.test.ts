import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diagnose, formatReport } from '../../../exporter/doctor/sources.ts';
import type { CollectorResult, ScrapeResult } from '../../../exporter/scrape/scrape.ts';
import { SourceError } from '../../../probes/errors.ts';

const AS_ROOT = { isRoot: true, lockdown: 'none' } as const;

function result(probes: Record<string, Partial<CollectorResult>>): ScrapeResult {
  const entries = Object.entries(probes).map(
    ([name, collector]) =>
      [name, { problems: [], seconds: 0, series: 0, limits: [], missing: [], ...collector }] as const,
  );
  return { families: [], results: new Map(entries) };
}

test('a source without problems is usable', () => {
  const { sources } = diagnose(result({ vms: { series: 3 } }), 1, AS_ROOT);
  assert.deepEqual(sources, [{ source: 'vms', usable: true, series: 3, findings: [] }]);
});

test('a problem is reported with its fix, once for all processes', () => {
  const problems = ['/proc/1/fd', '/proc/22/fd'].map((path) => new SourceError('denied', path, 'EACCES'));
  const { sources } = diagnose(result({ threads: { problems } }), 1, { ...AS_ROOT, isRoot: false });
  assert.equal(sources[0]?.usable, false);
  assert.deepEqual(sources[0]?.findings.length, 1);
  assert.match(sources[0]?.findings[0]?.fix ?? '', /CAP_SYS_PTRACE/);
});

test('a monitor that a client holds, such as the running daemon, is reported and is no failure', () => {
  const problems = [new SourceError('timeout', '/run/q/a.sock', 'no greeting in 1000 ms', 'monitor_held')];
  const [source] = diagnose(result({ qmp: { problems } }), 1, AS_ROOT).sources;
  assert.equal(source?.usable, true);
  assert.match(source?.findings[0]?.fix ?? '', /nothing, if that client is kvm-telemetry serve/);
});

test('a storm of problems does not fill the screen', () => {
  const problems = Array.from('abcdefghijk', (name) => new SourceError('failed', `/${name}`, 'EIO'));
  assert.equal(diagnose(result({ x: { problems } }), 1, AS_ROOT).sources[0]?.findings.length, 5);
});

test('denied debugfs is attributed to lockdown for root, and to missing privileges for other users', () => {
  const problems = [new SourceError('denied', '/sys/kernel/debug/kvm', 'EPERM')];
  const why = (isRoot: boolean): string =>
    formatReport(diagnose(result({ kvm_debugfs: { problems } }), 1, { isRoot, lockdown: 'integrity' }));
  assert.match(why(true), /kernel lockdown \(integrity\)/);
  assert.match(why(false), /only root can read debugfs[\s\S]*fix: run kvm-telemetry as root/);
});

test('the report for people has a line for each source, with reasons under those that fail', () => {
  const problems = [new SourceError('absent', '/proc/schedstat', 'ENOENT')];
  const report = diagnose(result({ vms: { series: 3 }, schedstat: { problems } }), 2, AS_ROOT);
  assert.equal(
    formatReport(report),
    [
      '2 VMs found; kernel lockdown: none',
      '',
      'ok    vms        3 series',
      'FAIL  schedstat  0 series',
      '      why: /proc/schedstat does not exist: this kernel lacks CONFIG_SCHEDSTATS',
      '      fix: use a kernel with CONFIG_SCHEDSTATS, or disable the collector with --no-collector.schedstat',
      '',
    ].join('\n'),
  );
});

test("a tenant's name cannot control the terminal", () => {
  const problems = [new SourceError('failed', '/run/\x1b[2J\x9b31m\u202eevil\n.xml', 'EIO')];
  const text = formatReport(diagnose(result({ libvirt: { problems } }), 1, AS_ROOT));
  assert.match(text, /why: \/run\/\\u\{1b\}\[2J\\u\{9b\}31m\\u\{202e\}evil\\u\{a\}\.xml: EIO/);
  assert.doesNotMatch(text.replaceAll('\n', ''), /\p{C}/u);
});

test('an empty list of sources causes no crash', () => {
  assert.match(formatReport(diagnose(result({}), 0, AS_ROOT)), /^0 VMs found/);
});
