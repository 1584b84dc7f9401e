import { TableCellDisplayMode, TableCellHeight, type TableOptions } from '@grafana/schema';
import type { FieldConfig } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import {
  type DataLink,
  field,
  type Override,
  Panel,
  type PanelSpec,
  type Transformation,
  type Unit,
} from './panel.ts';

/** A column: a label, or a query's value by its refId. */
export interface Column {
  /** `vm`, or `Value #A`. */
  readonly from: string;
  readonly title: string;
  readonly unit?: Unit;
  readonly decimals?: number;
  readonly width?: number;
  /** More field settings: thresholds, mappings. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Apply the threshold color to the text or the background. */
  readonly coloured?: 'text' | 'background';
  readonly links?: readonly DataLink[];
}

interface TableSpec extends Omit<PanelSpec, 'transformations' | 'overrides'> {
  readonly columns: readonly Column[];
  /** The title of the column to sort by. Without it the rows keep their order. */
  readonly sortBy?: string;
  readonly ascending?: boolean;
  /** Transformations between the query and the columns. */
  readonly before?: PanelSpec['transformations'];
}

/** A table of current values. Columns without a name are hidden. */
export class Table extends Panel {
  constructor(spec: TableSpec) {
    const { columns, sortBy, before = [] } = spec;
    const options: TableOptions = {
      cellHeight: TableCellHeight.Sm,
      frameIndex: 0,
      showHeader: true,
      sortBy: sortBy === undefined ? [] : [{ displayName: sortBy, desc: spec.ascending !== true }],
    };
    const custom: FieldConfig = {
      align: 'auto',
      cellOptions: { type: TableCellDisplayMode.Auto },
      inspect: false,
    };
    const merged = spec.queries.length > 1 ? [{ id: 'merge', options: {} }] : [];
    const transformations = [...merged, ...before, ...only(columns)];
    super(
      { ...spec, transformations, overrides: columns.flatMap(overrideOf) },
      { type: 'table', options, custom, color: { mode: 'thresholds' } },
    );
  }
}

/** Grafana 10.0 does not have organize's includeByName. */
function only(columns: readonly Column[]): Transformation[] {
  return [
    { id: 'filterFieldsByName', options: { include: { names: columns.map(({ from }) => from) } } },
    {
      id: 'organize',
      options: {
        excludeByName: {},
        indexByName: Object.fromEntries(columns.map(({ from }, i) => [from, i])),
        renameByName: Object.fromEntries(columns.map(({ from, title }) => [from, title])),
      },
    },
  ];
}

function overrideOf({ title, unit, decimals, width, more, coloured, links }: Column): Override[] {
  const type =
    coloured === 'background' ? TableCellDisplayMode.ColorBackground : TableCellDisplayMode.ColorText;
  const properties = {
    ...(unit === undefined ? {} : { unit }),
    ...(decimals === undefined ? {} : { decimals }),
    ...(width === undefined ? {} : { 'custom.width': width }),
    ...(coloured === undefined ? {} : { 'custom.cellOptions': { type } }),
    ...(links === undefined ? {} : { links }),
    ...more,
  };
  return Object.keys(properties).length === 0 ? [] : [field(title, properties)];
}
