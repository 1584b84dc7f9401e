/** Who may import whom: docs/architecture.md says why. */
const TOP = '^(kernel|probes|exporter|promql|dashboards|alerts|lab|testing|test|bench|scripts)/';
const only = (name, from, allowed) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: TOP, pathNot: allowed },
});

/** A room of the exporter imports the rooms before it, never one after it. */
const ROOMS = [
  'metrics',
  'model',
  'schedule',
  'state',
  'inventory',
  'trace',
  'collectors',
  'config',
  'sources',
  'assessment',
  'scrape',
  'doctor',
  'prometheus',
  'compare',
  'http',
  'page',
  'daemon',
  'cli',
];
const inOrder = ROOMS.map((room, i) =>
  only(`rooms-in-order-${room}`, `^exporter/${room}/`, [
    `^exporter/(${ROOMS.slice(0, i + 1).join('|')})/`,
    '^probes/',
    '^kernel/',
    // The queries of compare.
    ...(room === 'compare' ? ['^promql/'] : []),
    // The demo runs the simulated host.
    ...(room === 'cli' ? ['^lab/simhost/'] : []),
  ]),
);

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...inOrder,
    {
      name: 'every-file-of-the-exporter-is-in-a-room',
      severity: 'error',
      from: {},
      to: { path: '^exporter/', pathNot: `^exporter/(main\\.ts$|(${ROOMS.join('|')})/)` },
    },
    only('kernel-imports-kernel', '^kernel/', '^kernel/'),
    only('probes-import-kernel', '^probes/', ['^probes/', '^kernel/']),
    only('simhost-imports-lab', '^lab/(simhost/|[^/]*$)', [
      '^lab/',
      '^kernel/',
      '^exporter/metrics/(stages|techniques)\\.ts$',
    ]),
    only('metrics-import-metrics', '^exporter/metrics/', ['^exporter/metrics/', '^kernel/']),
    only('promql-imports-metrics', '^promql/', ['^promql/', '^exporter/metrics/']),
    only('alerts-import-promql', '^alerts/', ['^alerts/', '^promql/', '^exporter/metrics/']),
    only('dashboards-import-promql-and-recorded-series', '^dashboards/', [
      '^dashboards/',
      '^promql/',
      '^exporter/metrics/',
      '^alerts/(recording|thresholds)\\.ts$',
    ]),
    only('model-imports-model', '^exporter/model/', [
      '^exporter/model/',
      '^exporter/metrics/(label-text|roles|stages|techniques|visibility)\\.ts$',
      '^probes/',
      '^kernel/',
    ]),
    only('page-imports-page', '^exporter/page/browser/', '^exporter/page/(browser/|live\\.ts$)'),
    {
      name: 'page-takes-only-types-of-the-server',
      severity: 'error',
      from: { path: '^exporter/page/browser/' },
      to: { path: '^exporter/page/live\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    only('collectors', '^exporter/collectors/', [
      '^exporter/(collectors|model|metrics)/',
      '^probes/',
      '^kernel/',
    ]),
    {
      name: 'model-takes-only-types-of-probes',
      severity: 'error',
      from: { path: '^exporter/model/' },
      to: { path: '^probes/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'http-knows-no-probe',
      severity: 'error',
      from: { path: '^exporter/(http|page)/' },
      to: { path: '^probes/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'only-tests-import-tests',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'production-imports-no-testing',
      severity: 'error',
      from: { path: '^(kernel|probes|exporter|promql|dashboards|alerts|lab)/' },
      to: { path: '^(testing|bench|scripts)/' },
    },
    ...[
      ['express', '^exporter/(http/(app|authentication|sending)|page/routes)\\.ts$'],
      ['uplot', '^exporter/page/'],
      ['prom-client', '^exporter/(http/(app|exposition|own-families)|daemon/own-metrics)\\.ts$'],
      ['node-cron', '^exporter/schedule/schedule\\.ts$'],
      ['pino', '^exporter/(cli|daemon|http|schedule|scrape)/'],
      ['fast-xml-parser', '^probes/libvirt'],
      ['koffi', '^probes/bpf/libbpf\\.ts$'],
    ].map(([library, home]) => ({
      name: `one-home-for-${library}`,
      severity: 'error',
      from: { path: '^(kernel|probes|exporter)/', pathNot: home },
      to: { path: `node_modules/${library}/` },
    })),
    {
      name: 'processes-are-started-in-few-places',
      severity: 'error',
      from: {
        path: '^(kernel|probes|exporter)/',
        pathNot:
          '^exporter/(daemon/systemd|state/lock|sources/libvirt/virsh|trace/perf-process|cli/demo-prometheus)\\.ts$',
      },
      to: { path: '^(node:)?child_process$' },
    },
    {
      name: 'only-the-host-reads-files-for-probes',
      severity: 'error',
      from: {
        path: '^(kernel|probes|exporter/(model|metrics|collectors|inventory))/',
        pathNot: '^probes/(host|rooted-file|bpf/iterator|bpf/object-file)\\.ts$',
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
