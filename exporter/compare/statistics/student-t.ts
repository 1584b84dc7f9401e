/**
 * Student's t distribution. No library serves: simple-statistics lacks it, jStat has neither types nor a licence field,
 * and that of stdlib brings 222 packages (decision 0040). test/exporter/compare/student-t.test.ts checks it against R.
 */

/** P(|T| >= |t|) with `df` degrees of freedom, which need not be whole. */
export function twoSidedP(t: number, df: number): number {
  return Number.isNaN(t) ? Number.NaN : incompleteBeta(df / (df + t * t), df / 2, 0.5);
}

/** The t that |T| exceeds with probability `1 - confidence`. */
export function criticalT(confidence: number, df: number): number {
  let [low, high] = [0, 1];
  while (twoSidedP(high, df) > 1 - confidence) high *= 2;
  // 60 halvings exhaust the digits of a double.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (twoSidedP(middle, df) > 1 - confidence) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularised incomplete beta function. @see Abramowitz and Stegun 1964, 26.5.8 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The continued fraction converges fast on this side only.
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return (front / a) * continuedFraction(x, a, b);
}

/** By the algorithm of Lentz 1976. */
function continuedFraction(x: number, a: number, b: number): number {
  const away = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    for (const term of [even, odd]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      result *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return result;
}

/** ln Γ(x) for x > 0: Stirling's series, after a shift to where it is exact to 1e-15. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 15; y++) shift += Math.log(y);
  const square = y * y;
  const series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / y;
  return (y - 0.5) * Math.log(y) - y + Math.log(2 * Math.PI) / 2 + series - shift;
}
