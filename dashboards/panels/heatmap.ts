import {
  AxisPlacement,
  HeatmapCellLayout,
  ScaleDistribution,
  TooltipDisplayMode,
  VisibilityMode,
} from '@grafana/schema';
import {
  HeatmapColorMode,
  HeatmapColorScale,
  type Options,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import { Panel, type PanelSpec, type Unit } from './panel.ts';

interface HeatmapSpec extends PanelSpec {
  readonly unit: Unit;
}

/** A histogram over time. */
export class Heatmap extends Panel {
  constructor(spec: HeatmapSpec) {
    const options: Options = {
      calculate: false,
      cellGap: 1,
      cellValues: { unit: 'eps' },
      color: {
        exponent: 0.5,
        fill: 'dark-orange',
        mode: HeatmapColorMode.Scheme,
        reverse: false,
        scale: HeatmapColorScale.Exponential,
        scheme: 'Turbo',
        steps: 64,
      },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: HeatmapCellLayout.auto },
      showValue: VisibilityMode.Never,
      tooltip: { mode: TooltipDisplayMode.Single, yHistogram: true, showColorScale: true },
      yAxis: { axisPlacement: AxisPlacement.Left, reverse: false, unit: spec.unit },
    };
    const custom = { scaleDistribution: { type: ScaleDistribution.Linear } };
    super(spec, { type: 'heatmap', options, custom });
  }
}
