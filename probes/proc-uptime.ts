import { malformed } from './errors.ts';
import type { Host } from './host.ts';

/**
 * Parses `/proc/uptime` (fs/proc/uptime.c): seconds since boot, on the clock of the tasks' start times.
 *
 * @throws SourceError malformed
 * @example parseUptime('15270.34 28961.73\n') // 15270.34
 */
export function parseUptime(text: string): number {
  const [, seconds] = /^(\d{1,12}\.\d{2}) \d{1,15}\.\d{2}\n$/.exec(text) ?? [];
  if (seconds === undefined) throw malformed('/proc/uptime', text);
  return Number(seconds);
}

export function readUptime(host: Host): number {
  return parseUptime(host.attribute(`${host.roots.procfs}/uptime`));
}
