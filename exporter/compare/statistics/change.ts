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

/** Judges all metrics of two configurations together, so that their number is corrected for. */
export function changesOf(pairs: readonly Pair[], confidence: number): Map<string, Change> {
  const tests = pairs.map((pair) => ({ pair, tested: test(pair, confidence) }));
  const known = tests.flatMap(({ tested }) => tested.p ?? []);
  const corrected = holm(known)[Symbol.iterator]();
  return new Map(
    tests.map(({ pair, tested }) => {
      const p = tested.p === undefined ? undefined : corrected.next().value;
      const { metric, from, to, isComparable } = pair;
      const verdict = p === undefined ? 'unknown' : p > 1 - confidence ? 'same' : direction(metric, from, to);
      return [metric.id, { ...tested, p, verdict, from: from.value, to: to.value, isComparable }];
    }),
  );
}

function direction({ better }: ComparedMetric, from: Estimated, to: Estimated): Verdict {
  if (better === 'neither') return 'changed';
  return Number(to.value) > Number(from.value) === (better === 'higher') ? 'better' : 'worse';
}

type Tested = Pick<Change, 'gain' | 'interval' | 'p' | 'why'>;

function test({ from, to }: Pair, confidence: number): Tested {
  const isKnown = from.value !== undefined && to.value !== undefined && from.value !== 0;
  const gain = isKnown ? Number(to.value) / Number(from.value) - 1 : undefined;
  const why = whyUnknown(from, to);
  if (why !== undefined || from.error === undefined || to.error === undefined)
    return { gain, interval: undefined, p: undefined, why };
  if (from.value === 0 || to.value === 0)
    return { ...againstZero(from.error, to.error, from, to), gain, why };
  return {
    ...ofLogarithms(from.error, to.error, Number(to.value) / Number(from.value), confidence),
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
): Pick<Tested, 'interval' | 'p'> {
  const [a, b] = [Math.max(from.variance, ROUNDING), Math.max(to.variance, ROUNDING)];
  const df = (a + b) ** 2 / (a ** 2 / from.df + b ** 2 / to.df);
  const error = Math.sqrt(a + b);
  const width = criticalT(confidence, df) * error;
  const distance = Math.log(ratio);
  return {
    interval: [Math.expm1(distance - width), Math.expm1(distance + width)],
    p: twoSidedP(distance / error, df),
  };
}

/** 0 has no logarithm and no spread: whether the other value is distinct from it. */
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
