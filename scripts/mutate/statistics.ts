/** Random numbers from 0 to 1, the same for the same seed: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [result[i], result[j]];
    if (a === undefined || b === undefined) continue;
    result[i] = b;
    result[j] = a;
  }
  return result;
}

const Z = 1.96;

/**
 * Wilson's 95% interval of a share estimated from a sample. It has no width if the sample is the whole
 * population.
 */
export function interval(
  hits: number,
  sample: number,
  population = Number.POSITIVE_INFINITY,
): [number, number] {
  if (sample === 0) return [0, 1];
  const share = hits / sample;
  if (sample >= population) return [share, share];
  // The finite population correction narrows the interval of a large sample.
  const z = Z * Math.sqrt(Number.isFinite(population) ? (population - sample) / (population - 1) : 1);
  const middle = share + z ** 2 / (2 * sample);
  const half = z * Math.sqrt((share * (1 - share)) / sample + z ** 2 / (4 * sample ** 2));
  const whole = 1 + z ** 2 / sample;
  return [Math.max(0, (middle - half) / whole), Math.min(1, (middle + half) / whole)];
}
