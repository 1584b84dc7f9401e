import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { type AlertName, alertRules } from '../../alerts/alerting.ts';
import { firstStepsOf } from '../../alerts/first-steps.ts';
import { FIRST_STEPS } from '../../exporter/page/first-steps.ts';
import { ROOT } from '../../testing/daemon.ts';
import { temporaryFolder } from '../../testing/folder.ts';
import { hasTool } from '../../testing/tools.ts';

const names = Object.keys(alertRules) as AlertName[];
const HOSTILE = `o'brien"; $(touch /tmp/first-steps) \`x\` {{ . }}`;

test('the first steps of a runbook, with and without a VM', () => {
  const runbook = (lines: readonly string[]): string =>
    `# A\n\n## First 60 seconds\n\n${lines.map((line) => `    ${line}`).join('\n')}\n\n## What it means\n`;
  assert.deepEqual(
    firstStepsOf(runbook(['vm=db          # the label vm of the alert', 'doctor --vm "$vm"'])),
    {
      usesVm: true,
      lines: ['doctor --vm "$vm"'],
    },
  );
  assert.deepEqual(firstStepsOf(runbook(['doctor', 'uptime'])), {
    usesVm: false,
    lines: ['doctor', 'uptime'],
  });
  assert.throws(() => firstStepsOf('# A\n\n## What it means\n'), /no commands under/);
});

test('each alert has first steps that are shell; those of a VM use its name', () => {
  assert.deepEqual(Object.keys(FIRST_STEPS), names);
  for (const name of names) {
    const { usesVm = false, lines = [] } = FIRST_STEPS[name] ?? {};
    assert.equal(usesVm, alertRules[name].scope === 'vm', name);
    assert(lines.length > 0, name);
    execFileSync('sh', ['-n', '-c', lines.join('\n')]);
  }
});

test("Alertmanager fills in the VM of each alert, whatever the VM's name", (context) => {
  if (!hasTool(context, 'amtool', 'prometheus-alertmanager')) return;
  for (const name of names) {
    const { scope } = alertRules[name];
    const alert = {
      status: 'firing',
      labels: { alertname: name, ...(scope === 'vm' && { vm: HOSTILE }) },
      annotations: { summary: 'It storms.', description: 'Much.', runbook_url: 'https://example.org/' },
    };
    const text = rendered(context, [alert]);
    const [head, ...lines] = text.split('\n');
    assert.equal(head, 'firing: It storms.', name);
    const steps = FIRST_STEPS[name]?.lines ?? [];
    assert(text.includes(steps.join('\n')), `${name}: ${text}`);
    if (scope !== 'vm') continue;
    const assignment = lines.find((line) => line.startsWith('vm=')) ?? '';
    const said = execFileSync('sh', ['-c', `${assignment}\nprintf %s "$vm"`], { encoding: 'utf8' });
    assert.equal(said, HOSTILE, name);
  }
  assert.doesNotMatch(
    rendered(context, [{ status: 'resolved', labels: { alertname: 'KvmExitStorm' } }]),
    /doctor/,
  );
});

/** A notification as Alertmanager would send it. */
function rendered(context: TestContext, alerts: readonly object[]): string {
  const file = `${temporaryFolder(context)}/data.json`;
  const data = {
    receiver: 'tickets',
    status: 'firing',
    alerts: alerts.map((alert) => ({ annotations: {}, startsAt: '2026-11-27T04:00:00Z', ...alert })),
    groupLabels: {},
    commonLabels: {},
    commonAnnotations: {},
  };
  writeFileSync(file, JSON.stringify(data));
  const template = `${ROOT}deploy/alertmanager/kvm-telemetry.tmpl`;
  assert(readFileSync(template, 'utf8').includes('kvm-telemetry.text'));
  const { status, stdout, stderr } = spawnSync(
    'amtool',
    [
      'template',
      'render',
      `--template.glob=${template}`,
      '--template.text={{ template "kvm-telemetry.text" . }}',
      `--template.data=${file}`,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}
