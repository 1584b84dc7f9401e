import { readFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { alertRules } from '../alerts/alerting.ts';
import { alertmanagerTemplate, firstStepsModule, firstStepsOf } from '../alerts/first-steps.ts';
import { grafanaFile } from '../alerts/grafana.ts';
import { recordingRules } from '../alerts/recording.ts';
import { alertingFile, faster, recordingFile, withoutKeepFiringFor } from '../alerts/rule-files.ts';
import { FLEET_RUNS, fleetFiles } from './fleet.ts';
import { writeGenerated } from './generated.ts';

/** The demo's events last seconds; those of a real host last minutes. */
const DEMO_SPEED = 12;

const NOTE = '# Generated from alerts/*.ts by `npm run rules`; do not edit.\n';
const FLEET_NOTE =
  '# Generated from scripts/fleet.ts by `npm run rules`: put your own addresses in a copy. docs/fleet.md explains it.\n';

function fleetNote(name: string): string {
  const runs = FLEET_RUNS.get(name);
  return `${runs === undefined ? '' : `# ${runs}\n`}${FLEET_NOTE}`;
}

function reference(): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const alerts = Object.entries(alertRules).map(
    ([name, { severity, for: pending, keepFiringFor, expr }]) =>
      `| [${name}](../alerts/runbooks/${name}.md) | ${severity} | ${pending} | ${keepFiringFor} | \`${cell(expr)}\` |\n`,
  );
  const recorded = Object.entries(recordingRules).map(
    ([name, { help }]) => `| \`${name}\` | ${cell(help)} |\n`,
  );
  return `# Rules

Generated from \`alerts/*.ts\` by \`npm run rules\`; do not edit. docs/alerts.md says what the alerts find and what they miss.

## Alerts

| alert | severity | for | keeps firing for | expression |
|---|---|---|---|---|
${alerts.join('')}
## Recorded series

The level is what comes before the first colon: \`vm\` has the labels \`cluster\` (if the samples have it), \`job\`, \`instance\` and
\`vm\`, \`host\` the first three.

| series | meaning |
|---|---|
${recorded.join('')}`;
}

function runbookOf(alert: string): string {
  return readFileSync(new URL(`../../alerts/runbooks/${alert}.md`, import.meta.url), 'utf8');
}

/** Path in the repository and content of each generated file. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const yaml = (value: unknown): string => NOTE + stringify(value, { lineWidth: 0 });
  const all = { groups: [...recordingFile().groups, ...alertingFile().groups] };
  const steps = new Map(Object.keys(alertRules).map((alert) => [alert, firstStepsOf(runbookOf(alert))]));
  return new Map([
    ['deploy/alertmanager/kvm-telemetry.tmpl', alertmanagerTemplate(steps)],
    ['exporter/page/first-steps.ts', firstStepsModule(steps)],
    ['alerts/generated/recording.yaml', yaml(recordingFile())],
    ['alerts/generated/alerting.yaml', yaml(alertingFile())],
    ['alerts/generated/without-keep-firing-for/alerting.yaml', yaml(withoutKeepFiringFor(alertingFile()))],
    ...[...fleetFiles()].map(
      ([name, content]) =>
        [`deploy/fleet/${name}`, fleetNote(name) + stringify(content, { lineWidth: 0 })] as const,
    ),
    ['docs/rules.md', reference()],
    ['deploy/demo/rules.yaml', yaml(faster(all, DEMO_SPEED))],
    ['deploy/grafana/provisioning/alerting/kvm-telemetry.yaml', yaml(grafanaFile())],
    [
      'deploy/kubernetes/prometheusrule.yaml',
      yaml({
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'PrometheusRule',
        metadata: { name: 'kvm-telemetry', labels: { 'app.kubernetes.io/name': 'kvm-telemetry' } },
        spec: all,
      }),
    ],
  ]);
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1])
  writeGenerated(generatedFiles(), 'alerts/*.ts say', 'npm run rules');
