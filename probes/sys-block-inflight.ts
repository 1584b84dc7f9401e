import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface BlockInflight {
  readonly reads: number;
  readonly writes: number;
}

/**
 * Parses `/sys/block/<disk>/inflight`, block/genhd.c: requests issued and not completed.
 *
 * @throws SourceError malformed
 * @see https://docs.kernel.org/admin-guide/abi-stable.html#abi-sys-block-disk-inflight
 * @example parseBlockInflight('       3        0\n') // { reads: 3, writes: 0 }
 */
export function parseBlockInflight(text: string): BlockInflight {
  const match = /^\s*(\d{1,10})\s+(\d{1,10})\s*$/.exec(text.slice(0, 256));
  if (match === null) throw malformed('/sys/block/<disk>/inflight', text);
  return { reads: Number(match[1]), writes: Number(match[2]) };
}

export function readBlockInflight(host: Host, disk: string): BlockInflight {
  return parseBlockInflight(host.attribute(`${host.roots.sysfs}/block/${disk}/inflight`));
}
