import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import type { Dashboard } from '@grafana/schema';
import fc from 'fast-check';
import { alertingFile, recordingFile } from '../../../alerts/rule-files.ts';
import { catalogue } from '../../../exporter/metrics/catalogue.ts';
import { Families } from '../../../exporter/metrics/families.ts';
import { exportsOf, PROFILES, profileOf } from '../../../exporter/metrics/profiles.ts';
import { withMonitor } from '../../../testing/captured-monitor.ts';
import { ROOT } from '../../../testing/daemon.ts';
import { generated, NAMES, panelsOf, queriesOf, variablesOf } from '../../../testing/generated.ts';
import { GOLDEN_HOSTS } from '../../../testing/goldens.ts';
import { onceInProcess } from '../../../testing/in-process.ts';

const METRICS = Object.keys(catalogue);
const HOST = 'linux-nvme-vhost';

/** Names of the catalogue in these texts. */
function metricsIn(texts: readonly string[]): Set<string> {
  const names = texts.flatMap((text) => text.match(/(?<![:\w])kvm_\w+/g) ?? []);
  const known = (name: string): string[] =>
    [name, name.replace(/_(bucket|sum|count)$/, '')].filter((each) => Object.hasOwn(catalogue, each));
  return new Set(names.flatMap(known));
}

test('the minimal profile has the metrics that the rules select, and those that identify the host and the VMs', () => {
  const groups = [...recordingFile().groups, ...alertingFile().groups];
  const selected = metricsIn(groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)));
  assert(selected.size > 30);
  const more = METRICS.filter((name) => profileOf(name) === 'minimal' && !selected.has(name));
  assert.deepEqual(
    [...selected].filter((name) => profileOf(name) !== 'minimal'),
    [],
  );
  assert.deepEqual(more.sort(), [
    'kvm_host_info',
    'kvm_telemetry_config_last_reload_successful',
    'kvm_telemetry_vm_series_dropped',
    'kvm_vm_info',
    'kvm_vm_qemu_version_info',
  ]);
});

/** A collapsed row that says so reads series of the profile `full`. */
function inStandard(dashboard: Dashboard): Dashboard {
  const isFull = ({ title = '', ...row }: { title?: string; collapsed?: boolean }): boolean =>
    row.collapsed === true && title.endsWith('(profile full)');
  return { ...dashboard, panels: (dashboard.panels ?? []).filter((panel) => !isFull(panel)) };
}

test('the standard profile has the metrics that the dashboards and compare query', () => {
  const dashboards = NAMES.map(generated).map(inStandard);
  const queries = dashboards.flatMap((one) =>
    panelsOf(one)
      .flatMap(queriesOf)
      .map(({ expr }) => expr),
  );
  const variables = dashboards.flatMap((one) => variablesOf(one).map((each) => JSON.stringify(each)));
  const folder = `${ROOT}exporter/compare/`;
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(`${folder}${path}`, 'utf8'));
  const queried = metricsIn([...queries, ...variables, ...sources]);
  assert(queried.size > 60);
  assert.deepEqual(
    [...queried].filter((name) => profileOf(name) === 'full'),
    [],
  );
});

test('a metric is exported if its profile has it or it is allowed, unless it is denied', () => {
  const some = fc.subarray(METRICS);
  fc.assert(
    fc.property(
      fc.constantFrom(...PROFILES),
      some,
      some,
      fc.constantFrom(...METRICS),
      (profile, more, fewer, name) => {
        const has = PROFILES.indexOf(profileOf(name)) <= PROFILES.indexOf(profile);
        const wanted = (has || more.includes(name)) && !fewer.includes(name);
        assert.equal(exportsOf(profile, more, fewer)(name), wanted);
      },
    ),
  );
  assert(exportsOf('full', [], [])('kvm_vm_statistic_of_a_newer_kernel_total'));
  assert(!exportsOf('standard', [], [])('kvm_vm_statistic_of_a_newer_kernel_total'));
});

/** Lines of the exposition of a captured host. */
async function pageOf(context: TestContext, ...flags: string[]): Promise<string[]> {
  const rootfs = await withMonitor(context, HOST, 't1', GOLDEN_HOSTS[HOST] ?? '');
  const text = await onceInProcess(rootfs, '--trace.backend=off', ...flags);
  return text.split('\n');
}

const nameOf = (line: string): string => /^(?:# \w+ )?(\w+)/.exec(line)?.[1] ?? '';
const ofTheHost = (line: string): boolean =>
  line[0] !== '#' && /^kvm_(?!telemetry_)/.test(line) && !line.startsWith('kvm_vm_technique_since');

test('a smaller profile is a part of the full exposition, with the same values and counts', async (context) => {
  const full = await pageOf(context);
  for (const profile of ['minimal', 'standard'] as const) {
    const page = await pageOf(context, `--profile=${profile}`);
    const exports = exportsOf(profile, [], []);
    const kept = full.filter(
      (line) => ofTheHost(line) && exports(nameOf(line).replace(/_(bucket|sum|count)$/, '')),
    );
    assert(kept.length > 10 && kept.length < full.filter(ofTheHost).length);
    assert.deepEqual(page.filter(ofTheHost), kept);
    const since = page.filter((line) => line.startsWith('kvm_vm_technique_since')).length;
    assert(page.includes(`kvm_telemetry_series ${kept.length + since}`), profile);
    assert(page.some((line) => line.startsWith('process_cpu_seconds_total ')));
    assert(!page.some((line) => line.startsWith('kvm_telemetry_log_lines_dropped_total')), profile);
  }
});

test('metrics.allow and metrics.deny add and remove single metrics', async (context) => {
  const page = await pageOf(
    context,
    '--profile=minimal',
    '--metrics.allow=kvm_module_parameter',
    '--metrics.deny=kvm_vm_vcpus',
  );
  assert(page.some((line) => line.startsWith('kvm_module_parameter{')));
  assert(!page.some((line) => /^(# \w+ )?kvm_vm_vcpus\b/.test(line)));
  const plain = await pageOf(context, '--profile=minimal');
  assert(plain.some((line) => line.startsWith('kvm_vm_vcpus{')));
  assert(!plain.some((line) => line.startsWith('kvm_module_parameter{')));
});

test('series that are not exported take no room from the others, and have a limit of their own', () => {
  const families = new Families(3, (name) => name === 'kvm_vm_vcpus');
  for (let i = 0; i < 5; i++) families.add('kvm_vm_threads', { vm: 'a', role: `r${i}` }, 1);
  for (const vm of ['a', 'b', 'c']) families.add('kvm_vm_vcpus', { vm }, 1);
  families.settle();
  assert.deepEqual([families.series, families.taken, families.dropped], [3, 6, 0]);
  const [threads, vcpus] = families.sorted();
  assert.deepEqual([threads?.values.length, threads?.isHidden], [3, true]);
  assert.deepEqual([vcpus?.values.length, vcpus?.isHidden], [3, false]);
});
