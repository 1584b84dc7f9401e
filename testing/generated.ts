import { readFileSync } from 'node:fs';
import type { Dashboard, Panel, VariableModel } from '@grafana/schema';
import { DASHBOARDS, type DashboardName } from '../dashboards/links.ts';

const FOLDER = new URL('../../dashboards/generated/', import.meta.url);

export const NAMES = Object.keys(DASHBOARDS) as DashboardName[];

/** A dashboard as it is committed. */
export function generated(name: DashboardName): Dashboard {
  return JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), 'utf8')) as Dashboard;
}

/** Panels without rows, those in collapsed rows as well. */
export function panelsOf({ panels = [] }: Dashboard): Panel[] {
  return panels.flatMap((panel) =>
    panel.type === 'row' ? (panel as { panels: Panel[] }).panels : [panel as Panel],
  );
}

export function variablesOf({ templating }: Dashboard): VariableModel[] {
  return templating?.list ?? [];
}

export interface Query {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
}

export const queriesOf = (panel: Panel): Query[] => (panel.targets ?? []) as unknown as Query[];
