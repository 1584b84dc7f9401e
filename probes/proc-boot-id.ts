import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Parses `/proc/sys/kernel/random/boot_id`, drivers/char/random.c: a new UUID for each boot.
 *
 * @throws SourceError malformed
 * @example parseBootId('0f5c1e3a-2b6d-4c8e-9f10-1a2b3c4d5e6f\n')
 */
export function parseBootId(text: string): string {
  const [id] = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\n$)/.exec(text) ?? [];
  if (id === undefined) throw malformed('/proc/sys/kernel/random/boot_id', text);
  return id;
}

export function readBootId(host: Host): string {
  return parseBootId(host.attribute(`${host.roots.procfs}/sys/kernel/random/boot_id`));
}
