import type { EvidenceName } from '../../metrics/techniques.ts';
import type { Evidence } from '../../model/technique.ts';

/** A counted ratio with its error. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A count that lies between two numbers, as some of it may belong to another device. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** The accuracy of the counts. */
export interface Precision {
  /** Share of the period by which the two counts may be apart. */
  readonly skew: number;
  /** Events that one sampled event stands for; 1 if every event is counted. */
  readonly weight: number;
  /** Factor by which the denominator may be wrong, both ways. */
  readonly factor: number;
}

/** Two standard deviations of a count, or of the estimate of one from a sample. */
function noise(count: number, weight: number): number {
  return 2 * Math.sqrt(weight * (count + weight));
}

export function ratioOf({ least, most }: Bounds, ios: number, { skew, weight, factor }: Precision): Estimate {
  const low = Math.max(0, (least - noise(least, weight)) / (ios * factor)) * Math.max(0, 1 - skew);
  const high = ((most + noise(most, weight)) * factor * (1 + skew)) / ios;
  return { value: most / ios, low, high };
}

/** A share of a number of events. */
export function shareOf(part: number, all: number, weight: number): Estimate {
  const value = part / all;
  const error = 2 * Math.sqrt((weight * value * (1 - value)) / all) + weight / all;
  return { value, low: Math.max(0, value - error), high: Math.min(1, value + error) };
}

export type Side = 'below' | 'above' | 'near';

/** The side of the threshold, if it is certain. */
export function sideOf({ low, high }: Estimate, threshold: number): Side {
  if (high < threshold) return 'below';
  return low >= threshold ? 'above' : 'near';
}

export function evidenceOf(
  name: EvidenceName,
  { value, low, high }: Estimate,
  limit: Pick<Evidence, 'threshold' | 'wants'>,
  base: Pick<Evidence, 'seconds' | 'ios'>,
): Evidence {
  const error = Math.max(high - value, value - low);
  return { name, value, ...limit, error: Number.isFinite(error) ? error : 0, ...base };
}
