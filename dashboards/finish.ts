import type {
  AnnotationQuery,
  Dashboard,
  DashboardLink,
  Panel,
  RowPanel,
  VariableModel,
} from '@grafana/schema';
import dashgen from 'grafana-dash-gen';
import { DASHBOARDS, type DashboardName, linksFrom, uidOf } from './links.ts';
import type { Panel as OwnPanel } from './panels/panel.ts';
import type { Variable } from './variables.ts';

/** Columns of Grafana's grid. */
const COLUMNS = 24;
/** Schema of classic dashboards in Grafana 10. Later versions migrate it on load. */
const SCHEMA_VERSION = 39;

export interface RowSpec {
  /** The first row, with the question, has no title. */
  readonly title?: string;
  readonly panels: readonly OwnPanel[];
  readonly collapsed?: boolean;
}

export interface DashboardSpec {
  readonly name: DashboardName;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly annotations?: readonly InstanceType<typeof dashgen.Annotations.Graphite>[];
  readonly rows: readonly RowSpec[];
  readonly from?: string;
}

type Generated = ReturnType<InstanceType<typeof dashgen.Dashboard>['generate']>;

/** Builds a dashboard with grafana-dash-gen and converts it for current Grafana. */
export function dashboard(spec: DashboardSpec): Dashboard {
  const { name, description, variables, annotations = [], rows, from = 'now-1h' } = spec;
  const made = new dashgen.Dashboard({
    title: DASHBOARDS[name],
    tags: ['kvm-telemetry'],
    timezone: 'browser',
  });
  for (const variable of variables) made.addTemplate(variable);
  for (const annotation of annotations) made.addAnnotation(annotation);
  made.links.push(...linksFrom(name));
  for (const { title = '', panels, collapsed = false } of rows) {
    made.addRow(new dashgen.Row({ title, collapse: collapsed, panels: [...panels] }));
  }
  return finish(made.generate(), uidOf(name), description, from);
}

/**
 * grafana-dash-gen writes schema 6. This converts rows to row panels on the grid, numbers the ids within the
 * dashboard (the library continues them across dashboards), and copies selected keys only, which drops the
 * legacy ones.
 */
function finish(made: Generated, uid: string, description: string, from: string): Dashboard {
  const { title, tags, templating, annotations, links } = made;
  return {
    uid,
    title,
    description,
    tags,
    editable: false,
    graphTooltip: 1,
    fiscalYearStartMonth: 0,
    liveNow: false,
    refresh: '1m',
    schemaVersion: SCHEMA_VERSION,
    time: { from, to: 'now' },
    timepicker: {},
    timezone: 'browser',
    weekStart: '',
    version: 1,
    annotations: { list: annotations.list as unknown as AnnotationQuery[] },
    links: links.map(
      (link) => ({ ...link, asDropdown: false, targetBlank: false }) as unknown as DashboardLink,
    ),
    templating: { list: templating.list.map(plain) as VariableModel[] },
    panels: layOut(made.rows ?? []),
  };
}

const LEGACY = new Set(['allFormat', 'refresh_on_load']);

function plain(template: object): object {
  const isQuery = 'type' in template && template.type === 'query';
  return Object.fromEntries(
    Object.entries(template).filter(
      ([key, value]) => !LEGACY.has(key) && value !== null && !(key === 'allValue' && !isQuery),
    ),
  );
}

type MadeRow = NonNullable<Generated['rows']>[number];

function layOut(rows: readonly MadeRow[]): (Panel | RowPanel)[] {
  const all: (Panel | RowPanel)[] = [];
  let id = 0;
  let y = 0;
  for (const { title = '', panels, collapse = false } of rows) {
    const header = {
      id: ++id,
      type: 'row',
      title,
      collapsed: collapse,
      gridPos: { h: 1, w: COLUMNS, x: 0, y },
      panels: [] as Panel[],
    };
    if (title !== '') {
      all.push(header as unknown as RowPanel);
      y++;
    } else id--;
    const target = collapse ? header.panels : all;
    let x = 0;
    let lineHeight = 0;
    for (const { size, type, title, ...state } of panels as (MadeRow['panels'][number] & {
      size: { w: number; h: number };
    })[]) {
      if (x + size.w > COLUMNS) {
        x = 0;
        y += lineHeight;
        lineHeight = 0;
      }
      target.push(modern({ ...state, id: ++id, type, title, gridPos: { ...size, x, y } }));
      x += size.w;
      lineHeight = Math.max(lineHeight, size.h);
    }
    // Panels in a collapsed row take no space.
    y = collapse ? header.gridPos.y + 1 : y + lineHeight;
  }
  return all;
}

const OF_TODAY = [
  'id',
  'type',
  'title',
  'description',
  'gridPos',
  'datasource',
  'targets',
  'fieldConfig',
  'options',
  'transformations',
];

/** Fixed key order, without the legacy keys that grafana-dash-gen adds. */
function modern(panel: Readonly<Record<string, unknown>>): Panel {
  const transparent = panel['type'] === 'text' ? { transparent: true } : {};
  const kept = OF_TODAY.filter((key) => panel[key] !== undefined && panel[key] !== '');
  return { ...Object.fromEntries(kept.map((key) => [key, panel[key]])), ...transparent } as unknown as Panel;
}
