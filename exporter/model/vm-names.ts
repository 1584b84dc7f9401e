import { createHash } from 'node:crypto';
import { cleanLabelText } from '../metrics/label-text.ts';

/** Longest name that is not shortened. libvirt itself sets no limit. */
const MAX_NAME = 100;
/** Number of hexadecimal digits that distinguish shortened names. */
const HASH_LENGTH = 10;

/**
 * Converts a tenant's name to a label: invalid characters become `?`, and the end of a long name becomes a
 * hash of the whole name, as generated names often differ only at the end.
 */
export function truncateName(name: string): string {
  const fit = cleanLabelText(name).trim();
  if (fit.length <= MAX_NAME) return fit;
  const points = [...fit];
  if (points.length <= MAX_NAME) return fit;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${points.slice(0, MAX_NAME - HASH_LENGTH - 1).join('')}…${hash}`;
}

/**
 * Sources of a name, the least trusted first: the command line of QEMU under TCG, that of a KVM VM, libvirt.
 */
export const TRUST = { tcg: 0, kvm: 1, libvirt: 2 } as const;

/**
 * Converts a pattern to match the names that {@link truncateName} returns. A pattern without `*` and `?` is a name, and
 * is shortened like one.
 */
export function truncatePattern(pattern: string): string {
  return /[*?]/.test(pattern) ? pattern : truncateName(pattern);
}

export interface NameClaim {
  /** Identifies one incarnation of a VM: pid and start time. */
  readonly key: string;
  /** The result of {@link truncateName}. */
  readonly name: string;
  /** Empty if the VM has none. */
  readonly uuid: string;
  readonly pid: number;
  /** Ticks since boot. */
  readonly startTime: number;
  readonly trust: (typeof TRUST)[keyof typeof TRUST];
}

/**
 * Assigns each VM a unique `vm` label. The more trusted claim gets the name, even if another VM has it:
 * libvirt keeps its names unique, and any user can start QEMU under TCG. Among equally trusted claims a VM
 * keeps its label, then the older VM gets the name. The other VMs of that name get `name~uuid`, with the
 * first eight digits, or `name~pid` if they have no UUID.
 *
 * @param previous labels of the last round, by key
 * @returns labels by key
 */
export function assignLabels(
  claims: readonly NameClaim[],
  previous: ReadonlyMap<string, string>,
): Map<string, string> {
  const newcomer = (claim: NameClaim): number => (previous.get(claim.key) === claim.name ? 0 : 1);
  const order = [...claims].sort(
    (a, b) => b.trust - a.trust || newcomer(a) - newcomer(b) || a.startTime - b.startTime || a.pid - b.pid,
  );
  const taken = new Set<string>();
  const labels = new Map<string, string>();
  // While a VM lives, no equally trusted VM gets its label: its series would change owner.
  const reserved = new Map<string, NameClaim>();
  for (const claim of claims) {
    const label = previous.get(claim.key);
    if (label !== undefined) reserved.set(label, claim);
  }
  for (const claim of order) {
    const label = freeLabel(claim, previous.get(claim.key), (candidate) => {
      const owner = reserved.get(candidate);
      const isOpen = owner === undefined || owner.key === claim.key || outranks(claim, owner);
      return isOpen && !taken.has(candidate);
    });
    taken.add(label);
    labels.set(claim.key, label);
  }
  return labels;
}

function outranks(claim: NameClaim, owner: NameClaim): boolean {
  return claim.trust > owner.trust || claim.trust === TRUST.libvirt;
}

function freeLabel(
  { name, uuid, pid, trust }: NameClaim,
  previous: string | undefined,
  isFree: (label: string) => boolean,
): string {
  const candidates = trust === TRUST.libvirt ? [name, previous] : [previous, name];
  if (uuid !== '') candidates.push(`${name}~${uuid.slice(0, 8)}`);
  for (const candidate of candidates) if (candidate !== undefined && isFree(candidate)) return candidate;
  let label = `${name}~${pid}`;
  while (!isFree(label)) label += '~';
  return label;
}
