const TITLE = '\n## First 60 seconds\n\n';
const INDENT = '    ';
/** The first line of the steps of an alert on a VM. */
const VM_LINE = /^vm=db\s+# the label vm of the alert$/;

/** The commands for the first minute of an alert. */
export interface FirstSteps {
  /** Whether the commands use the VM's name, as `$vm`. */
  readonly usesVm: boolean;
  /** Lines of shell, without the one that sets `vm`. */
  readonly lines: readonly string[];
}

/**
 * The commands under "First 60 seconds" of a runbook.
 *
 * @throws Error for a runbook without them
 */
export function firstStepsOf(runbook: string): FirstSteps {
  const start = runbook.indexOf(TITLE);
  const [block = ''] = start < 0 ? [] : runbook.slice(start + TITLE.length).split('\n\n');
  const lines = block.split('\n').map((line) => line.slice(INDENT.length));
  if (block === '') throw new Error(`no commands under "${TITLE.trim()}"`);
  const usesVm = VM_LINE.test(lines[0] ?? '');
  return { usesVm, lines: usesVm ? lines.slice(1) : lines };
}

/**
 * Templates for Alertmanager: the first steps of each alert, with its VM filled in.
 *
 * @see https://prometheus.io/docs/alerting/latest/notifications/
 */
export function alertmanagerTemplate(steps: ReadonlyMap<string, FirstSteps>): string {
  const cases = [...steps].map(([alert, { usesVm, lines }], i) => {
    // The name comes from a tenant. In single quotes a shell does not interpret it.
    const vm = usesVm ? [`vm='{{ reReplaceAll "'" "'\\\\''" .Labels.vm }}'`] : [];
    return [`{{- ${i === 0 ? 'if' : 'else if'} eq .Labels.alertname "${alert}" }}`, ...vm, ...lines].join(
      '\n',
    );
  });
  return `{{/* Generated from alerts/runbooks/*.md by \`npm run rules\`; do not edit.
Give it an alert: {{ range .Alerts }}{{ template "kvm-telemetry.first-steps" . }}{{ end }} */}}
{{ define "kvm-telemetry.first-steps" }}
${cases.join('\n')}
{{- end }}
{{ end }}

{{ define "kvm-telemetry.text" }}
{{- range .Alerts }}{{ .Status }}: {{ .Annotations.summary }}
{{ .Annotations.description }}
{{ if eq .Status "firing" }}{{ template "kvm-telemetry.first-steps" . }}{{ end }}
{{ .Annotations.runbook_url }}

{{ end }}
{{- end }}
`;
}

/** The module of the live page. */
export function firstStepsModule(steps: ReadonlyMap<string, FirstSteps>): string {
  return `// Generated from alerts/runbooks/*.md by \`npm run rules\`; do not edit.

/** What to run in the first minute of an alert, by its name. \`usesVm\`: the commands use the VM's name as \`$vm\`. */
export const FIRST_STEPS: Readonly<
  Record<string, { readonly usesVm: boolean; readonly lines: readonly string[] }>
> = ${JSON.stringify(Object.fromEntries(steps), undefined, 2)};
`;
}
