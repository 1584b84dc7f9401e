import {
  GraphGradientMode,
  LegendDisplayMode,
  SortOrder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizOrientation,
} from '@grafana/schema';
import type {
  FieldConfig,
  Options,
} from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import { Panel, type PanelSpec } from './panel.ts';

interface BarChartSpec extends PanelSpec {
  /** The column with the names of the bars. */
  readonly x: string;
  readonly stacked?: boolean;
  readonly legend?: boolean;
  readonly horizontal?: boolean;
  /** Rotation in degrees, for long names. */
  readonly turned?: number;
  readonly color?: string;
}

/** A bar per row. */
export class BarChart extends Panel {
  constructor(spec: BarChartSpec) {
    const options: Options = {
      barRadius: 0.02,
      barWidth: 0.7,
      fullHighlight: false,
      groupWidth: 0.7,
      legend: {
        calcs: [],
        displayMode: LegendDisplayMode.List,
        placement: 'bottom',
        showLegend: spec.legend === true,
      },
      orientation: spec.horizontal === true ? VizOrientation.Horizontal : VizOrientation.Vertical,
      showValue: spec.stacked === true ? VisibilityMode.Never : VisibilityMode.Always,
      stacking: spec.stacked === true ? StackingMode.Normal : StackingMode.None,
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.None },
      xField: spec.x,
      xTickLabelMaxLength: 32,
      xTickLabelRotation: spec.turned ?? 0,
    };
    const custom: FieldConfig = {
      fillOpacity: 75,
      gradientMode: GraphGradientMode.None,
      lineWidth: 1,
    };
    const color =
      spec.color === undefined ? { mode: 'palette-classic' } : { mode: 'fixed', fixedColor: spec.color };
    super(spec, { type: 'barchart', options, custom, color });
  }
}
