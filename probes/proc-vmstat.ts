import type { Host } from './host.ts';

/** Pages since boot. undefined if the kernel does not count it. */
export interface MovedPages {
  readonly swappedIn: number | undefined;
  readonly swappedOut: number | undefined;
  /** By NUMA balancing, to another node: CONFIG_NUMA_BALANCING. */
  readonly numaMigrated: number | undefined;
}

/**
 * Parses `/proc/vmstat`, mm/vmstat.c.
 *
 * @example parseMovedPages('pswpin 0\npswpout 7\nnuma_pages_migrated 3\n')
 */
export function parseMovedPages(text: string): MovedPages {
  const of = (name: string): number | undefined => {
    const written = new RegExp(`^${name} (\\d{1,20})$`, 'm').exec(text)?.[1];
    return written === undefined ? undefined : Number(written);
  };
  return { swappedIn: of('pswpin'), swappedOut: of('pswpout'), numaMigrated: of('numa_pages_migrated') };
}

/** @throws SourceError */
export function readMovedPages(host: Host): MovedPages {
  return parseMovedPages(host.attribute(`${host.roots.procfs}/vmstat`));
}
