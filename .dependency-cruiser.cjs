/** Who may import whom: docs/architecture.md says why. */
const only = (name, from, allowed) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^(probes|exporter|dashboards|alerts|lab|bench|test|scripts)/', pathNot: allowed },
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    only('probes-import-probes', '^probes/', '^probes/'),
    only('lab-imports-lab', '^lab/', '^lab/'),
    only('metrics-import-metrics', '^exporter/metrics/', '^exporter/metrics/'),
    only('alerts-import-metrics', '^alerts/', ['^alerts/', '^exporter/metrics/']),
    only('dashboards-import-metrics-and-what-is-recorded', '^dashboards/', [
      '^dashboards/',
      '^exporter/metrics/',
      '^alerts/(recording|thresholds)\\.ts$',
    ]),
    only('model-imports-model', '^exporter/model/', [
      '^exporter/model/',
      '^exporter/metrics/label-text\\.ts$',
      '^probes/',
    ]),
    only('page-imports-page', '^exporter/web/page/', '^exporter/web/(page/|live\\.ts$)'),
    {
      name: 'page-takes-only-types-of-the-server',
      severity: 'error',
      from: { path: '^exporter/web/page/' },
      to: { path: '^exporter/web/live\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    only('collectors', '^exporter/collectors/', ['^exporter/(collectors|model|metrics)/', '^probes/']),
    {
      name: 'model-takes-only-types-of-probes',
      severity: 'error',
      from: { path: '^exporter/model/' },
      to: { path: '^probes/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'server-knows-no-probe',
      severity: 'error',
      from: { path: '^exporter/(server|serve|registry|web/)' },
      to: { path: '^probes/', dependencyTypesNot: ['type-only'] },
    },
    ...[
      ['express', '^exporter/(server|web/routes|config/authentication)\\.ts$'],
      ['uplot', '^exporter/web/'],
      ['prom-client', '^exporter/(registry|own-metrics|server)\\.ts$'],
      ['node-cron', '^exporter/schedule\\.ts$'],
      [
        'pino',
        '^exporter/(cli|serve|last-resort|telemetry|problem-log|series-log|connections|schedule|server|listener)\\.ts$',
      ],
      ['fast-xml-parser', '^probes/libvirt'],
    ].map(([library, home]) => ({
      name: `one-home-for-${library}`,
      severity: 'error',
      from: { path: '^(probes|exporter)/', pathNot: home },
      to: { path: `node_modules/${library}/` },
    })),
    {
      name: 'processes-are-started-in-few-places',
      severity: 'error',
      from: {
        path: '^(probes|exporter)/',
        pathNot: '^exporter/(systemd|state-lock|libvirt/virsh|trace/perf-process|demo-prometheus)\\.ts$',
      },
      to: { path: '^(node:)?child_process$' },
    },
    {
      name: 'only-the-host-reads-files-for-probes',
      severity: 'error',
      from: {
        path: '^(probes|exporter/(model|metrics|collectors|inventory))/',
        pathNot: '^probes/(host|rooted-file)\\.ts$',
      },
      to: { path: '^(node:)?fs(/promises)?$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node'] },
  },
};
