import type { Vector } from '../../promql/promql.ts';
import { now } from '../queries.ts';
import type { Panel, PanelSpec } from './panel.ts';
import { Stat } from './stat.ts';

/** One number at the end of the time range. */
export function currentValue(
  title: string,
  description: string,
  of: Vector<never>,
  more: Partial<PanelSpec> = {},
): Panel {
  return new Stat({
    title,
    description,
    unit: 'short',
    width: 4,
    height: 4,
    queries: [now(of, title)],
    ...more,
  });
}
