export interface MeanError {
  /** Variance of the mean. */
  readonly variance: number;
  /** Degrees of freedom of that variance. */
  readonly df: number;
  /** How many independent samples are worth as much: at most the number of samples (Zwiers and von Storch 1995). */
  readonly effectiveSamples: number;
}

/** With more the weight of the last residuals has no bound. */
const MAX_CORRELATION = 0.98;
const MIN_COSINES = 4;

/**
 * How exact the mean of an autocorrelated series is. Decision 0040 has the reasons.
 *
 * The series is prewhitened by an AR(1) (Andrews and Monahan 1992), whose coefficient is corrected for its bias (Kendall
 * 1954). The variance is that of the first cosine transforms of the residuals, whose number is also that of the degrees
 * of freedom of Student's t (Müller 2007; Lazarus, Lewis, Stock and Watson 2018).
 *
 * @param series deviations from the mean
 */
export function errorOfMean(series: Float64Array): MeanError {
  const n = series.length;
  const [square, product] = moments(series);
  const df = Math.max(MIN_COSINES, Math.round(0.4 * n ** (2 / 3)));
  // Without variance all samples are the same.
  if (square === 0) return { variance: 0, df, effectiveSamples: n };
  const seen = product / square;
  const correlation = Math.min(MAX_CORRELATION, Math.max(0, seen + (1 + 3 * seen) / n));
  const residuals = new Float64Array(n - 1);
  for (let i = 1; i < n; i++) residuals[i - 1] = (series[i] ?? 0) - correlation * (series[i - 1] ?? 0);
  const variance = lowFrequencies(residuals, df) / (1 - correlation) ** 2 / n;
  return { variance, df, effectiveSamples: (n * (1 - correlation)) / (1 + correlation) };
}

/** Sum of the squares, and of the products of neighbours. */
function moments(series: Float64Array): [number, number] {
  let [square, product, before] = [0, 0, 0];
  for (const value of series) {
    square += value * value;
    product += value * before;
    before = value;
  }
  return [square, product];
}

/** Mean square of the first `count` cosine transforms (DCT-II, orthonormal). */
function lowFrequencies(series: Float64Array, count: number): number {
  const n = series.length;
  let sum = 0;
  for (let j = 1; j <= count; j++) {
    let transform = 0;
    for (let i = 0; i < n; i++) transform += (series[i] ?? 0) * Math.cos((Math.PI * j * (i + 0.5)) / n);
    sum += (2 / n) * transform * transform;
  }
  return sum / count;
}
