import { TooMuchError } from '../prometheus/errors.ts';
import type { Series } from '../prometheus/series.ts';
import type { Span } from './model.ts';

/** Samples of one response: about 1.5 MB of JSON. */
const SAMPLES = 50_000;
/** A piece that is too large for the server is halved, down to this. */
const MIN_PIECE = 60;
/** A piece is at most this many times as long as the one before. */
const MAX_GROWTH = 4;

/** Points at multiples of `step` from the start: pieces have none in common. */
export interface Grid {
  readonly step: number;
  readonly most: number;
}

/** Reads a time piece by piece, each about as large as a response may be. */
export async function* pieces(
  { start, end }: Span,
  seconds: number,
  read: (piece: Span) => Promise<Series[]>,
  { step, most }: Grid = { step: 0, most: Number.POSITIVE_INFINITY },
): AsyncGenerator<Series[]> {
  let length = seconds;
  for (let from = start; from <= end; ) {
    const to = Math.min(end, from + length);
    try {
      const found = await read({ start: from, end: to });
      const samples = found.reduce((sum, each) => sum + each.samples.length, 0);
      length = onGrid(Math.min(most, length * Math.min(MAX_GROWTH, SAMPLES / Math.max(1, samples))), step);
      yield found;
    } catch (error) {
      if (!(error instanceof TooMuchError) || length <= Math.max(MIN_PIECE, step)) throw error;
      length = onGrid(length / 2, step);
      continue;
    }
    if (to === end) return;
    from = to + step;
  }
}

function onGrid(length: number, step: number): number {
  return step === 0 ? Math.max(MIN_PIECE, length) : Math.max(step, Math.floor(length / step) * step);
}
