import dashgen from 'grafana-dash-gen';
import type { DataLink } from './panels/panel.ts';

/** Title and uid of each dashboard, in the order of an investigation. */
export const DASHBOARDS = {
  fleet: 'KVM fleet',
  host: 'KVM host',
  vm: 'KVM VM',
  'patch-effect': 'KVM patch effect',
  affinity: 'KVM affinity',
  exporter: 'KVM telemetry exporter',
} as const;

export type DashboardName = keyof typeof DASHBOARDS;

/** The live page links to these (exporter/page/browser/vm-view.ts). */
export const uidOf = (name: DashboardName): string => (name === 'exporter' ? 'kvm-telemetry' : `kvm-${name}`);

/** Links to the other dashboards, with the same data source, host, VM and time range. */
export function linksFrom(here: DashboardName): InstanceType<typeof dashgen.ExternalLink>[] {
  return (Object.keys(DASHBOARDS) as DashboardName[])
    .filter((name) => name !== here)
    .map((name) =>
      new dashgen.ExternalLink({ title: DASHBOARDS[name], url: `/d/${uidOf(name)}` })
        .includeVariableValues()
        .includeTimeFilter()
        .withIcon('dashboard'),
    );
}

/** Link from a table row with columns of these titles, or from a line with these labels. */
function target(
  name: DashboardName,
  from: 'fields' | 'labels',
  values: Readonly<Record<string, string>>,
): string {
  const of = (label: string): string =>
    from === 'fields' ? `\${__data.fields["${label}"]}` : `\${__field.labels.${label}}`;
  const chosen = Object.entries(values).map(([variable, label]) => `var-${variable}=${of(label)}`);
  return `/d/${uidOf(name)}?\${datasource:queryparam}&\${cluster:queryparam}&\${job:queryparam}&${chosen.join('&')}&\${__url_time_range}`;
}

export const toHost: DataLink = {
  title: 'This host',
  url: target('host', 'fields', { instance: 'Host' }),
};
export const toVm: DataLink = {
  title: 'This VM',
  url: target('vm', 'fields', { instance: 'Host', vm: 'VM' }),
};
export const seriesToHost: DataLink = {
  title: 'This host',
  url: target('host', 'labels', { instance: 'instance' }),
};
export const seriesToVm: DataLink = {
  title: 'This VM',
  url: target('vm', 'labels', { instance: 'instance', vm: 'vm' }),
};
