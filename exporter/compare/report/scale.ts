/** Of a character of 11 px, and the space between two texts. */
const CHARACTER = 6.5;
const SPACE = 6;

/**
 * The n for which there is room for a text at every n-th mark.
 *
 * @param texts of all marks
 * @param distance between two marks, in px
 */
export function labelStep(texts: readonly string[], distance: number): number {
  const longest = Math.max(0, ...texts.map((text) => text.length));
  return Math.max(1, Math.ceil((longest * CHARACTER + SPACE) / distance));
}

/** Round numbers from 0 to at least `most`, at most six: 0, 50, 100, 150. */
export function ticks(most: number): number[] {
  if (!(most > 0) || !Number.isFinite(most)) return [0, 1];
  const power = 10 ** Math.floor(Math.log10(most / 4));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size * 4.0001 >= most);
  const size = step ?? most;
  const count = Math.ceil(most / size - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => i * size);
}
