// A monitoring mixin (https://monitoring.mixins.dev): the generated rules and dashboards of this repository.
local rules = function(text) std.parseYaml(text);
{
  _config+:: {
    // false for Prometheus before 2.42 and vmalert before 1.90, which refuse keep_firing_for.
    keepFiringFor: true,
  },
  prometheusRules+: rules(importstr 'alerts/generated/recording.yaml'),
  prometheusAlerts+:
    if $._config.keepFiringFor
    then rules(importstr 'alerts/generated/alerting.yaml')
    else rules(importstr 'alerts/generated/without-keep-firing-for/alerting.yaml'),
  grafanaDashboards+: {
    'affinity.json': import 'dashboards/generated/affinity.json',
    'exporter.json': import 'dashboards/generated/exporter.json',
    'fleet.json': import 'dashboards/generated/fleet.json',
    'host.json': import 'dashboards/generated/host.json',
    'patch-effect.json': import 'dashboards/generated/patch-effect.json',
    'vm.json': import 'dashboards/generated/vm.json',
  },
}
