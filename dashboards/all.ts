import type { Dashboard } from '@grafana/schema';
import { affinity } from './affinity.ts';
import { exporter } from './exporter.ts';
import { fleet } from './fleet.ts';
import { host } from './host.ts';
import type { DashboardName } from './links.ts';
import { patchEffect } from './patch-effect.ts';
import { vm } from './vm.ts';

/** Created on each call, because a caller changes what grafana-dash-gen returns. */
export function allDashboards(): [DashboardName, Dashboard][] {
  return [
    ['fleet', fleet()],
    ['host', host()],
    ['vm', vm()],
    ['patch-effect', patchEffect()],
    ['affinity', affinity()],
    ['exporter', exporter()],
  ];
}
