import type { Archive } from './archive.ts';
import type { Span } from './model.ts';
import { joined, type Period, spansOf } from './periods.ts';

/** Times at which a state is read, in all periods together. */
const MOMENTS = 1000;
/** Times with fewer scrapes in between are read together. */
const BRIDGED = 20;

/** The times at which to read the states, and the seconds of a window. */
export function stateTimes(
  archive: Archive,
  periods: readonly Period[],
  interval: number,
): { readonly times: readonly Span[]; readonly window: number } {
  const times = joined(periods.flatMap(spansOf), BRIDGED * interval);
  const seconds = times.reduce((sum, { start, end }) => sum + end - start, 0);
  const isSummed = archive.windows !== undefined;
  return {
    times,
    window: isSummed ? interval * Math.max(1, Math.ceil(seconds / MOMENTS / interval)) : interval,
  };
}
