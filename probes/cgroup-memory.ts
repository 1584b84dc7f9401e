import { ifThere, malformed } from './errors.ts';
import type { Host } from './host.ts';

/** A memory limit of a cgroup. v1 has no `high`. */
export interface MemoryLimit {
  readonly limit: 'high' | 'max';
  /** How often the cgroup reached it since the cgroup exists. */
  readonly hits: number;
  /** Whether it is set now. */
  readonly isSet: boolean;
}

const FIELD = /^(\w{1,40}) (\d{1,20})$/;
/** Without a limit v1 shows the largest number of pages, in bytes: 2^63 without the last page. */
const UNLIMITED = 2 ** 62;

/**
 * Parses `memory.events` of v2, mm/memcontrol.c __memory_events_show().
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
 * @example parseMemoryEvents('low 0\nhigh 12\nmax 3\noom 0\noom_kill 0\n')
 */
export function parseMemoryEvents(text: string): Readonly<Record<MemoryLimit['limit'], number>> {
  const fields = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name !== undefined) fields.set(name, Number(value));
  }
  const [high, max] = [fields.get('high'), fields.get('max')];
  if (high === undefined || max === undefined) throw malformed('memory.events', text);
  return { high, max };
}

/**
 * Reads `memory.events` of v2 or `memory.failcnt` of v1, and the limits.
 *
 * @param cgroup folder of a cgroup of either version
 * @returns none if the cgroup has no memory controller
 * @throws SourceError
 */
export function readMemoryLimits(host: Host, cgroup: string): MemoryLimit[] {
  const events = ifThere(() => host.attribute(`${cgroup}/memory.events`));
  if (events !== undefined) {
    const hits = parseMemoryEvents(events);
    return (['high', 'max'] as const).map((limit) => {
      const value = ifThere(() => host.attribute(`${cgroup}/memory.${limit}`)) ?? 'max\n';
      return { limit, hits: hits[limit], isSet: value !== 'max\n' };
    });
  }
  const hits = ifThere(() => host.decimal(`${cgroup}/memory.failcnt`));
  if (hits === undefined) return [];
  const bytes = host.decimal(`${cgroup}/memory.limit_in_bytes`) ?? UNLIMITED;
  return [{ limit: 'max', hits, isSet: bytes < UNLIMITED }];
}
