import { closestMatch } from 'leven';

/** Longer names are cut before they are compared, which takes the square of the time. */
const MAX_LENGTH = 256;

/** The candidate that a mistyped name most likely stands for; undefined where none is near. */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  const maxDistance = Math.max(2, Math.floor(Math.min(name.length, MAX_LENGTH) / 3));
  const short = new Map(candidates.map((candidate) => [candidate.slice(0, MAX_LENGTH), candidate]));
  const match = closestMatch(name.slice(0, MAX_LENGTH), [...short.keys()], { maxDistance });
  return match === undefined ? undefined : short.get(match);
}

/** `: did you mean "web"?`, to go at the end of a sentence; empty where nothing is near. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const match = nearest(name, candidates);
  return match === undefined ? '' : `: did you mean ${JSON.stringify(match)}?`;
}
