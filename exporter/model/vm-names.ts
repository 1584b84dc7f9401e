/** Longest name that is shown whole; libvirt itself sets no limit. */
const MAX_NAME = 100;

/** Control characters and those that turn text around (bidirectional overrides) have no place in a label. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd]/g;

/** A tenant's name made fit for a label: bad characters become `?`, a long name is cut. */
export function fitName(name: string): string {
  const fit = name.toWellFormed().replace(UNFIT, '?').trim();
  const points = [...fit];
  return points.length <= MAX_NAME ? fit : `${points.slice(0, MAX_NAME - 1).join('')}…`;
}

export interface NameClaim {
  /** Tells one incarnation of a VM: pid and start time. */
  readonly key: string;
  /** Already fit; see {@link fitName}. */
  readonly name: string;
  readonly pid: number;
  /** Ticks since boot. */
  readonly startTime: number;
  /** libvirt, which keeps names unique, vouches for the name. */
  readonly vouched: boolean;
}

/**
 * One unique `vm` label for each VM. Vouched names come first and are never lost to another; then a VM keeps the label
 * it has; then the older VM gets the name. Whoever comes too late is called `name~pid`.
 *
 * @param previous labels of the last round, by key
 * @returns labels by key
 */
export function assignLabels(
  claims: readonly NameClaim[],
  previous: ReadonlyMap<string, string>,
): Map<string, string> {
  const rank = (claim: NameClaim): number => {
    if (claim.vouched) return 0;
    return previous.get(claim.key) === claim.name ? 1 : 2;
  };
  const order = [...claims].sort((a, b) => rank(a) - rank(b) || a.startTime - b.startTime || a.pid - b.pid);
  const taken = new Set<string>();
  const labels = new Map<string, string>();
  // A label given before is not for anyone else while its VM lives, or its series would change owner.
  const reserved = new Map(
    claims.flatMap((c) => (previous.has(c.key) ? [[previous.get(c.key), c.key]] : [])) as [string, string][],
  );
  for (const claim of order) {
    const label = freeLabel(claim, previous.get(claim.key), (candidate) => {
      const owner = reserved.get(candidate);
      return !taken.has(candidate) && (claim.vouched || owner === undefined || owner === claim.key);
    });
    taken.add(label);
    labels.set(claim.key, label);
  }
  return labels;
}

function freeLabel(
  claim: NameClaim,
  previous: string | undefined,
  isFree: (label: string) => boolean,
): string {
  if (claim.vouched && isFree(claim.name)) return claim.name;
  if (previous !== undefined && isFree(previous)) return previous;
  if (isFree(claim.name)) return claim.name;
  let label = `${claim.name}~${claim.pid}`;
  while (!isFree(label)) label += '~';
  return label;
}
