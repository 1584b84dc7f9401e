import { stringify } from 'yaml';
import { allDashboards } from '../dashboards/all.ts';
import { writeGenerated } from './generated.ts';

/** Path in the repository and content of each generated file. */
export function generatedDashboards(): ReadonlyMap<string, string> {
  const all = allDashboards();
  return new Map([
    ...all.map(
      ([name, dashboard]) =>
        [`dashboards/generated/${name}.json`, `${JSON.stringify(dashboard, undefined, 2)}\n`] as const,
    ),
    ['dashboards/kustomization.yaml', kustomization(all.map(([name]) => name))],
  ]);
}

/** ConfigMaps for the sidecar of Grafana's Helm chart: it reads those with the label. */
function kustomization(names: readonly string[]): string {
  return `# Generated from dashboards/*.ts by \`npm run dashboards\`; do not edit.\n${stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    configMapGenerator: names.map((name) => ({
      name: `kvm-telemetry-dashboard-${name}`,
      files: [`generated/${name}.json`],
    })),
    generatorOptions: {
      disableNameSuffixHash: true,
      labels: { grafana_dashboard: '1', 'app.kubernetes.io/name': 'kvm-telemetry' },
      annotations: { grafana_folder: 'KVM' },
    },
  })}`;
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1])
  writeGenerated(generatedDashboards(), 'dashboards/*.ts say', 'npm run dashboards');
