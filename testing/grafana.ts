import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Panel } from '@grafana/schema';
import type { Mark, TargetAnswer } from '../dashboards/preview/preview.ts';
import { has } from './tools.ts';

const FOLDER = fileURLToPath(new URL('../../test/grafana/', import.meta.url));

/** The parts of @grafana/data that the tests use, in any version. */
interface DataFrame {
  readonly refId?: string;
  readonly length: number;
  readonly fields: readonly DataField[];
}
interface DataField {
  readonly name: string;
  readonly type: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly config: object;
  readonly values: readonly unknown[] | { toArray(): unknown[] };
}
interface Transformer {
  readonly id: string;
}
interface GrafanaData {
  readonly standardTransformers: Readonly<Record<string, Transformer>>;
  readonly standardTransformersRegistry: { setInit(init: () => unknown[]): void };
  readonly fieldMatchers: {
    get(id: string): {
      get(options: unknown): (field: DataField, frame: DataFrame, all: readonly DataFrame[]) => boolean;
    };
  };
  createTheme(): unknown;
  getDisplayProcessor(options: unknown): (value: number) => unknown;
  formattedValueToString(value: unknown): string;
  getFieldDisplayName(field: DataField, frame: DataFrame, all: readonly DataFrame[]): string;
  transformDataFrame(transformations: readonly unknown[], frames: readonly DataFrame[]): unknown;
}
interface ResultTransformer {
  transformV2(
    response: { data: readonly DataFrame[] },
    request: { targets: readonly unknown[]; app: string },
    options: object,
  ): { data: readonly DataFrame[] };
}
interface Annotations {
  PrometheusAnnotationSupport(datasource: object): {
    processEvents(annotation: object, frames: readonly DataFrame[]): unknown;
  };
}
interface Rx {
  lastValueFrom<T>(observable: unknown): Promise<T>;
}

/** A column by its name. */
export type Column = readonly [name: string, values: readonly unknown[]];

/** Grafana's own code of one version, without a Grafana server. */
export interface Grafana {
  readonly version: string;
  /** Formats a value as a panel does. */
  format(value: number, unit: string, decimals?: number): string;
  /** The columns of a panel after its transformations; empty without data. */
  columns(panel: Panel, answers: readonly TargetAnswer[]): Promise<readonly Column[]>;
  /** Rows of a heatmap: the bucket's bound, and the count in this bucket alone. */
  rows(panel: Panel, answers: readonly TargetAnswer[]): readonly Column[];
  /** Settings of each series from the panel's overrides, in order. */
  overrides(
    panel: Panel,
    answers: readonly TargetAnswer[],
  ): { name: string; refId: string; set: { id: string }[] }[];
  /** The marks of an annotation query. @param step in seconds */
  marks(
    annotation: { readonly textFormat: string },
    answers: readonly TargetAnswer[],
    step: number,
  ): Promise<readonly Pick<Mark, 'at' | 'text'>[]>;
}

/** The oldest and the newest supported Grafana; undefined if their packages are not installed. */
export function grafanas(context: TestContext): readonly Grafana[] | undefined {
  const isThere = existsSync(`${FOLDER}node_modules`);
  if (!has(context, isThere, "Grafana's packages are missing: npm install --no-save --prefix test/grafana"))
    return undefined;
  const require = createRequire(`${FOLDER}package.json`);
  pretendBrowser(require);
  return ['grafana-data-10', '@grafana/data'].map((name) => grafanaOf(require, name));
}

/** Provides the browser globals that Grafana's packages need at load time. */
function pretendBrowser(require: NodeJS.Require): void {
  if ('window' in globalThis) return;
  const { JSDOM } = require('jsdom') as { JSDOM: new (html: string, options: object) => { window: object } };
  const { window } = new JSDOM('<!doctype html>', { url: 'http://localhost/' });
  Object.defineProperty(globalThis, 'window', { value: window });
  const names = [
    'document',
    'navigator',
    'localStorage',
    'location',
    'DOMParser',
    'Element',
    'Node',
    'HTMLElement',
  ];
  for (const name of names) {
    Object.defineProperty(globalThis, name, { value: Reflect.get(window, name), configurable: true });
  }
  const empty = `${FOLDER}node_modules/empty.js`;
  const module = require('node:module') as { _resolveFilename(name: string, ...more: unknown[]): string };
  const resolve = module._resolveFilename;
  module._resolveFilename = (name, ...more) => (UNUSED.has(name) ? empty : resolve(name, ...more));
  require.cache[empty] = { exports: {}, loaded: true, id: empty, filename: empty } as NodeJS.Module;
}

/** Needed only for exemplar links and for an editor; loading them would need most of Grafana. */
const UNUSED = new Set(['@grafana/runtime', './components/AnnotationQueryEditor.cjs']);

function grafanaOf(require: NodeJS.Require, name: string): Grafana {
  const data = require(name) as GrafanaData;
  const { version } = require(`${FOLDER}node_modules/${name}/package.json`) as { version: string };
  const prometheus = `${FOLDER}node_modules/@grafana/prometheus/dist/cjs/`;
  const { transformV2 } = require(`${prometheus}result_transformer.cjs`) as ResultTransformer;
  const { lastValueFrom } = require('rxjs') as Rx;
  const theme = data.createTheme();
  const isOld = version.startsWith('10.');
  const byId = new Map(Object.values(data.standardTransformers).map((one) => [one.id, one]));
  data.standardTransformersRegistry.setInit(() =>
    [...byId].map(([id, one]) => ({ id, name: id, transformation: isOld ? one : async () => one })),
  );
  const framesOf = (panel: Pick<Panel, 'targets'>, answers: readonly TargetAnswer[]): readonly DataFrame[] =>
    transformV2({ data: backendFrames(answers) }, { targets: panel.targets ?? [], app: 'dashboard' }, {})
      .data;
  const named = (frame: DataFrame, all: readonly DataFrame[]): Column[] =>
    frame.fields.map((field) => [data.getFieldDisplayName(field, frame, all), valuesOf(field)]);
  return {
    version,
    format: (value, unit, decimals) => {
      const field = { name: 'value', type: 'number', config: { unit, decimals }, values: [value] };
      return data.formattedValueToString(data.getDisplayProcessor({ field, theme })(value));
    },
    columns: async (panel, answers) => {
      const observable = data.transformDataFrame(panel.transformations ?? [], framesOf(panel, answers));
      const frames = await lastValueFrom<readonly DataFrame[]>(observable);
      if (frames.length > 1) throw new Error(`${frames.length} frames of ${panel.title}`);
      return frames.flatMap((frame) => (frame.length === 0 ? [] : named(frame, frames)));
    },
    rows: (panel, answers) =>
      framesOf(panel, answers).flatMap(({ fields }) =>
        fields.slice(1).map((one): Column => [one.name, valuesOf(one)]),
      ),
    overrides: (panel, answers) => {
      const frames = framesOf(panel, answers);
      return frames.flatMap((frame) =>
        frame.fields.slice(1).map((field) => ({
          name: data.getFieldDisplayName(field, frame, frames),
          refId: frame.refId ?? '',
          set: (panel.fieldConfig?.overrides ?? [])
            .filter(({ matcher: { id, options } }) =>
              data.fieldMatchers.get(id).get(options)(field, frame, frames),
            )
            .flatMap(({ properties }) => properties),
        })),
      );
    },
    marks: async (annotation, answers, step) => {
      const { PrometheusAnnotationSupport } = require(`${prometheus}annotations.cjs`) as Annotations;
      const frames = backendFrames(answers).map((frame) => ({
        ...frame,
        meta: { executedQueryString: `Expr: x\nStep: ${step}s` },
      }));
      const found = PrometheusAnnotationSupport({}).processEvents(annotation, frames);
      if (frames.length === 0) return [];
      const events = await lastValueFrom<{ time: number; text: string }[]>(found);
      return events.map(({ time, text }) => ({ at: time / 1000, text }));
    },
  };
}

function valuesOf({ values }: DataField): unknown[] {
  return 'toArray' in values ? values.toArray() : [...values];
}

/**
 * Builds data frames as the backend of the Prometheus data source does.
 * @see https://github.com/grafana/grafana/blob/main/pkg/promlib/querydata/response.go
 */
function backendFrames(answers: readonly TargetAnswer[]): DataFrame[] {
  return answers.flatMap(({ refId, series }): DataFrame[] =>
    series.length === 0
      ? [{ refId, length: 0, fields: [] }]
      : series.map(({ metric, name, value, values = [] }) => {
          const points = value === undefined ? values : [value];
          const time = { name: 'Time', type: 'time', config: {}, values: points.map(([at]) => at * 1000) };
          const config = { displayNameFromDS: name };
          const number = {
            name: metric['__name__'] ?? 'Value',
            type: 'number',
            labels: metric,
            config,
            values: points.map(([, text]) => Number(text)),
          };
          return { refId, length: points.length, fields: [time, number] };
        }),
  );
}
