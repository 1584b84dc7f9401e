import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** Counters of a network interface since it exists, as the host sees it: what it receives from a tap, the guest sent. */
export interface NetStatistics {
  readonly received: NetCounts;
  readonly sent: NetCounts;
}

export interface NetCounts {
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
}

/**
 * Reads `/sys/class/net/<name>/statistics`.
 *
 * @returns undefined if there is no such interface, as in another network namespace
 * @throws SourceError
 * @see https://docs.kernel.org/networking/statistics.html
 */
export function readNetStatistics(host: Host, name: string): NetStatistics | undefined {
  const folder = `${host.roots.sysfs}/class/net/${name}/statistics`;
  const count = (file: string): number => {
    const value = host.decimal(`${folder}/${file}`);
    if (value === undefined) throw malformed(`${folder}/${file}`, '');
    return value;
  };
  const counts = (direction: 'rx' | 'tx'): NetCounts => ({
    bytes: count(`${direction}_bytes`),
    packets: count(`${direction}_packets`),
    dropped: count(`${direction}_dropped`),
  });
  return ifThere(() => ({ received: counts('rx'), sent: counts('tx') }));
}
