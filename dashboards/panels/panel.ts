import {
  type FieldConfig,
  MappingType,
  type MatcherConfig,
  type Threshold,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/schema';
import dashgen from 'grafana-dash-gen';
import type { Query } from '../queries.ts';

export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/** Grafana's ids of the units in use. */
export type Unit =
  | 'short'
  | 'none'
  | 'percent'
  | 'percentunit'
  | 's'
  | 'bytes'
  | 'Bps'
  | 'eps'
  | 'iops'
  | 'hertz'
  | 'bool_yes_no'
  | 'dateTimeFromNow'
  | 'suffix:×'
  | 'suffix:cores'
  | 'suffix:/min';

/** A link from a value. */
export interface DataLink {
  readonly title: string;
  readonly url: string;
}

export interface Override {
  readonly matcher: MatcherConfig;
  readonly properties: readonly { readonly id: string; readonly value: unknown }[];
}

export interface Transformation {
  readonly id: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Options of every panel. The grid has 24 columns. */
export interface PanelSpec {
  readonly title: string;
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly queries: readonly Query[];
  readonly unit?: Unit;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  /** Color steps, ascending; the first one has no lower bound. */
  readonly thresholds?: readonly Threshold[];
  readonly mappings?: readonly ValueMapping[];
  readonly overrides?: readonly Override[];
  readonly transformations?: readonly Transformation[];
  readonly links?: readonly DataLink[];
  /** Text for an empty result, if empty means healthy. */
  readonly emptyIsGood?: string;
}

/** Settings of a panel type. */
interface PanelKind {
  readonly type: string;
  readonly options: object;
  readonly custom?: object;
  readonly color?: { readonly mode: string; readonly fixedColor?: string };
}

/** A panel of current Grafana, in place of grafana-dash-gen's text panel. */
export class Panel extends dashgen.Panels.Text {
  constructor(spec: PanelSpec, kind: PanelKind) {
    super({ title: spec.title });
    Object.assign(this.state, {
      type: kind.type,
      description: spec.description,
      options: kind.options,
      ...(spec.queries.length === 0
        ? {}
        : {
            datasource: DATASOURCE,
            targets: spec.queries.map((query, i) => targetOf(query, i)),
            fieldConfig: { defaults: defaultsOf(spec, kind), overrides: spec.overrides ?? [] },
            ...(spec.transformations === undefined ? {} : { transformations: spec.transformations }),
          }),
      size: { w: spec.width, h: spec.height },
    });
  }
}

function targetOf({ expr, legend, kind }: Query, i: number): object {
  const isRange = kind === 'range' || kind === 'heatmap';
  return {
    refId: String.fromCharCode('A'.charCodeAt(0) + i),
    datasource: DATASOURCE,
    editorMode: 'code',
    expr,
    format: { range: 'time_series', instant: 'time_series', table: 'table', heatmap: 'heatmap' }[kind],
    instant: !isRange,
    range: isRange,
    legendFormat: legend === '' ? '__auto' : legend,
  };
}

function defaultsOf(spec: PanelSpec, kind: PanelKind): FieldConfig<object> {
  const { unit, decimals, min, max, thresholds, mappings, links, emptyIsGood } = spec;
  const given = { unit, decimals, min, max, links, noValue: emptyIsGood };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    color: kind.color ?? { mode: 'palette-classic' },
    custom: kind.custom ?? {},
    mappings: [...(mappings ?? [])],
    thresholds: { mode: ThresholdsMode.Absolute, steps: [...(thresholds ?? above([]))] },
  } as FieldConfig<object>;
}

/** Green, then another color from each limit on. */
export function above(
  limits: readonly (readonly [value: number, color: string])[],
  base = 'green',
): Threshold[] {
  return [{ color: base, value: null }, ...limits.map(([value, color]) => ({ color, value }))];
}

/** Texts and colors of values. */
export function named(texts: Readonly<Record<string, readonly [text: string, color: string]>>): ValueMapping {
  const options = Object.entries(texts).map(([value, [text, color]], index) => [
    value,
    { text, color, index },
  ]);
  return { type: MappingType.ValueToText, options: Object.fromEntries(options) };
}

/** Overrides of the field with this name. */
export function field(name: string, properties: Readonly<Record<string, unknown>>): Override {
  return {
    matcher: { id: 'byName', options: name },
    properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
  };
}
