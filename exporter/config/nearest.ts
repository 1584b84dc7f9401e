import { closestMatch } from 'leven';

/** Names are truncated before the comparison, whose cost is quadratic. */
const MAX_LENGTH = 256;

/** The candidate that is most similar to a mistyped name; undefined if none is close enough. */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  const maxDistance = Math.max(2, Math.floor(Math.min(name.length, MAX_LENGTH) / 3));
  const short = new Map(candidates.map((candidate) => [candidate.slice(0, MAX_LENGTH), candidate]));
  const match = closestMatch(name.slice(0, MAX_LENGTH), [...short.keys()], { maxDistance });
  return match === undefined ? undefined : short.get(match);
}

/** A suffix such as `: did you mean "web"?`; empty if no candidate is close enough. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const match = nearest(name, candidates);
  return match === undefined ? '' : `: did you mean ${JSON.stringify(match)}?`;
}
