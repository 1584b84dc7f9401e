/**
 * The peer of a connection, for quotas: an IPv4 address or an IPv6 network, because one host has many IPv6
 * addresses.
 */
export function peerOf(address: string | undefined): string {
  if (address === undefined) return '';
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const rest = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - groups.length - rest.length }, () => '0');
  return `${[...groups, ...zeros, ...rest].slice(0, 4).join(':')}::/64`;
}

/** The peer with the most entries, and their number. */
export function peerWithMost(peers: Iterable<string>): { readonly peer: string; readonly count: number } {
  const counts = new Map<string, number>();
  let most = { peer: '', count: 0 };
  for (const peer of peers) {
    const count = (counts.get(peer) ?? 0) + 1;
    counts.set(peer, count);
    if (count > most.count) most = { peer, count };
  }
  return most;
}
