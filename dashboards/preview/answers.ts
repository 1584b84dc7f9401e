import type { AnnotationQuery, Panel } from '@grafana/schema';
import { type Choices, inText, interpolate, type Window, windowOf } from './interpolate.ts';
import type { Answer, Mark, TargetAnswer } from './preview.ts';
import { instant, range } from './prometheus.ts';

/** A target of this project's classic panels. */
export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly instant: boolean;
  readonly format: TargetAnswer['format'];
  readonly legendFormat: string;
}

/** Columns of the grid, and Grafana's pixels per column on a common screen. */
const COLUMN_PIXELS = 60;

function targetsOf(panel: Panel): readonly Target[] {
  return (panel.targets ?? []) as unknown as readonly Target[];
}

export function panelWindow(panel: Panel, from: number, to: number): Window {
  return windowOf(from, to, (panel.gridPos?.w ?? 12) * COLUMN_PIXELS);
}

export async function answer(
  panel: Panel,
  url: string,
  choices: Choices,
  window: Window,
): Promise<TargetAnswer[]> {
  const all: TargetAnswer[] = [];
  for (const { refId, expr, instant: isInstant, format, legendFormat } of targetsOf(panel)) {
    const query = interpolate(expr, choices, window);
    const found = isInstant ? await instant(url, query, window.to) : await range(url, query, window);
    const series = found.map((one) => ({ ...one, name: legend(legendFormat, one.metric, choices) }));
    all.push({ refId, format, isInstant, series });
  }
  return all;
}

function legend(format: string, metric: Answer['metric'], choices: Choices): string {
  return inText(format, choices).replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}

interface PrometheusAnnotation extends AnnotationQuery {
  readonly expr: string;
  readonly textFormat: string;
}

/** Adjacent points of an annotation's series are one event, as in Grafana. */
export async function marksOf(
  annotations: readonly AnnotationQuery[],
  url: string,
  choices: Choices,
  from: number,
  to: number,
): Promise<Mark[]> {
  const window = windowOf(from, to, 100);
  const marks: Mark[] = [];
  for (const { enable, expr, textFormat, iconColor } of annotations as readonly PrometheusAnnotation[]) {
    if (!enable) continue;
    for (const { metric, values = [] } of await range(url, interpolate(expr, choices, window), window)) {
      let last = Number.NEGATIVE_INFINITY;
      for (const [at, value] of values) {
        if (Number(value) > 0 && at - last > window.step) {
          marks.push({ at, text: legend(textFormat, metric, choices), color: iconColor });
        }
        last = at;
      }
    }
  }
  return marks.sort((a, b) => a.at - b.at);
}
