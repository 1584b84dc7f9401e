import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  PercentChangeColorMode,
  VizOrientation,
} from '@grafana/schema';
import type { Options } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import { Panel, type PanelSpec } from './panel.ts';

interface StatSpec extends PanelSpec {
  readonly showNames?: boolean;
  readonly sparkline?: boolean;
  /** Shows a label as text: a regular expression of field names. */
  readonly fields?: string;
}

/** Current values. */
export class Stat extends Panel {
  constructor(spec: StatSpec) {
    const options: Options = {
      colorMode: BigValueColorMode.Value,
      graphMode: spec.sparkline === true ? BigValueGraphMode.Area : BigValueGraphMode.None,
      justifyMode: BigValueJustifyMode.Auto,
      orientation: VizOrientation.Auto,
      percentChangeColorMode: PercentChangeColorMode.Standard,
      reduceOptions: { calcs: ['lastNotNull'], fields: spec.fields ?? '', values: false },
      showPercentChange: false,
      textMode: spec.showNames === true ? BigValueTextMode.ValueAndName : BigValueTextMode.Auto,
      wideLayout: true,
    };
    super(spec, { type: 'stat', options, color: { mode: 'thresholds' } });
  }
}
