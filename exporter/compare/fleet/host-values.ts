import type { Observation } from '../model.ts';
import type { FleetMetric } from './metrics.ts';
import { type HostTime, spanOfWindow, type Windows } from './model.ts';

/** With fewer windows a host has no value. */
const MIN_WINDOWS = 4;

/** The metric of a host over these windows: a ratio of sums. undefined if it is not known. */
export function valueIn(
  metric: FleetMetric,
  { numbers }: HostTime,
  windows: readonly number[],
): number | undefined {
  const [above, below] = [numbers.get(metric.above), numbers.get(metric.below)];
  if (above === undefined || below === undefined) return undefined;
  let [a, b, count] = [0, 0, 0];
  for (const i of windows) {
    const [x = Number.NaN, y = Number.NaN] = [above[i], below[i]];
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    a += x;
    b += y;
    count++;
  }
  const value = metric.valueOf([a, b]);
  return count >= MIN_WINDOWS && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** The same as observations, for the statistics of one host. */
export function observationsOf(metric: FleetMetric, time: HostTime, windows: Windows): Observation[] {
  const [above, below] = [time.numbers.get(metric.above), time.numbers.get(metric.below)];
  return time.windows.flatMap((i) => {
    const [x = Number.NaN, y = Number.NaN] = [above?.[i], below?.[i]];
    const { seconds } = windows;
    return Number.isNaN(x) || Number.isNaN(y)
      ? []
      : { at: spanOfWindow(windows, i).end, seconds, sums: [x * seconds, y * seconds] };
  });
}
