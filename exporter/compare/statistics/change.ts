import type { ComparedMetric } from '../model.ts';
import type { Change, Verdict } from './assessment.ts';
import type { Estimated } from './estimate.ts';
import { holm } from './holm.ts';
import type { MeanError } from './long-run-variance.ts';
import { criticalT, twoSidedP } from './student-t.ts';

/** One metric in two configurations. */
export interface Pair {
  readonly metric: ComparedMetric;
  readonly from: Estimated;
  readonly to: Estimated;
  readonly isComparable: boolean;
}

/** The variance of the logarithm that rounding of doubles may hide. */
const ROUNDING = 1e-18;
const NO_TREND: Trend = { mean: 0, variance: 0, df: 1 };

/** Judges all metrics of two configurations together, to correct for their number. */
export function changesOf(pairs: readonly Pair[], confidence: number): Map<string, Change> {
  const changes = judged(
    pairs.map((pair) => tested(pair, confidence)),
    confidence,
  );
  return new Map(pairs.map(({ metric }, i) => [metric.id, changes[i] as Change]));
}

/** A test whose p value is not yet corrected. */
export interface Test extends Omit<Change, 'verdict'> {
  readonly better: ComparedMetric['better'];
}

/** Corrects the p values of all tests together and judges each. */
export function judged(tests: readonly Test[], confidence: number): Change[] {
  const corrected = holm(tests.flatMap((test) => test.p ?? []))[Symbol.iterator]();
  return tests.map(({ better, ...test }) => {
    const p = test.p === undefined ? undefined : corrected.next().value;
    const verdict =
      p === undefined ? 'unknown' : p > 1 - confidence ? 'same' : direction(better, test.from, test.to);
    return { ...test, p, verdict };
  });
}

function direction(better: Test['better'], from = Number.NaN, to = Number.NaN): Verdict {
  if (better === 'neither') return 'changed';
  return to > from === (better === 'higher') ? 'better' : 'worse';
}

type Tested = Pick<Change, 'gain' | 'interval' | 'p' | 'why'>;

/** The expected change without an effect: the mean of the logarithm of a ratio. */
export interface Trend extends Pick<MeanError, 'variance' | 'df'> {
  readonly mean: number;
}

/** The test of one metric in two configurations. */
export function tested(pair: Pair, confidence: number, trend = NO_TREND): Test {
  const { metric, from, to, isComparable } = pair;
  return {
    ...numbersOf(pair, confidence, trend),
    better: metric.better,
    from: from.value,
    to: to.value === undefined ? undefined : to.value / Math.exp(trend.mean),
    isComparable,
  };
}

function numbersOf({ from, to }: Pair, confidence: number, trend: Trend): Tested {
  const isKnown = from.value !== undefined && to.value !== undefined && from.value !== 0;
  const gain = isKnown ? Number(to.value) / Number(from.value) / Math.exp(trend.mean) - 1 : undefined;
  const why = whyUnknown(from, to);
  if (why !== undefined || from.error === undefined || to.error === undefined)
    return { gain, interval: undefined, p: undefined, why };
  if (from.value === 0 || to.value === 0)
    return { ...againstZero(from.error, to.error, from, to), gain, why };
  return {
    ...ofLogarithms(from.error, to.error, Math.log(Number(to.value) / Number(from.value)), confidence, trend),
    gain,
    why,
  };
}

/** Welch's test (1947) of the logarithms, so that 2 against 1 is as far as 1 against 2. */
function ofLogarithms(
  from: MeanError,
  to: MeanError,
  ratio: number,
  confidence: number,
  trend: Trend,
): Pick<Tested, 'interval' | 'p'> {
  const [a, b] = [Math.max(from.variance, ROUNDING), Math.max(to.variance, ROUNDING)];
  const c = trend.variance;
  const df = (a + b + c) ** 2 / (a ** 2 / from.df + b ** 2 / to.df + c ** 2 / trend.df);
  const error = Math.sqrt(a + b + c);
  const width = criticalT(confidence, df) * error;
  const distance = ratio - trend.mean;
  return {
    interval: [Math.expm1(distance - width), Math.expm1(distance + width)],
    p: twoSidedP(distance / error, df),
  };
}

/** A value of 0 has no logarithm and no spread. The test is whether the other value differs from 0. */
function againstZero(
  fromError: MeanError,
  toError: MeanError,
  from: Estimated,
  to: Estimated,
): Pick<Tested, 'interval' | 'p'> {
  const { variance, df } = from.value === 0 ? toError : fromError;
  const p = from.value === to.value ? 1 : twoSidedP(1 / Math.sqrt(Math.max(variance, ROUNDING)), df);
  return { interval: from.value === 0 ? undefined : [-1, -1], p };
}

function whyUnknown(from: Estimated, to: Estimated): string | undefined {
  if (to.why !== undefined) return to.why;
  return from.why === undefined ? undefined : `in the base: ${from.why}`;
}
