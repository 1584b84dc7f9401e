import { MAX_CPU } from '../kernel/cpu-list.ts';
import { malformed } from './errors.ts';

/** About 10,000 numbers and ranges. Real lists are shorter, and each entry may be a range of 65,536 CPUs. */
const MAX_LENGTH = 65_536;

/** `N`, `N-M` or `^N`, then a comma or the end. White space as in g_ascii_isspace(); none within `^N`. */
const PART = /(\^?)(\d{1,10})[ \t\n\f\r]*(?:-[ \t\n\f\r]*(\d{1,10})[ \t\n\f\r]*)?(?:,[ \t\n\f\r]*|$)/y;

/**
 * Parses libvirt's CPU list, src/util/virbitmap.c virBitmapParse(). Entries apply in order, so `^2,1-4`
 * contains 2. A trailing comma is allowed. An empty result is an error, as in libvirt.
 *
 * @param cpuCount Higher numbers are left out, as libvirt takes up to 16,383 CPUs on every host and the kernel drops those
 * that it does not have. The cost is that of the host's CPUs then, not that of a range in the file.
 * @returns CPU numbers, ascending and unique
 * @throws SourceError malformed
 * @see https://libvirt.org/formatdomain.html#cpu-allocation
 * @example parseLibvirtCpuset('1-4,^2') // [1, 3, 4]
 */
export function parseLibvirtCpuset(text: string, cpuCount: number = MAX_CPU + 1): number[] {
  if (text.length > MAX_LENGTH) throw malformed('CPU set', text);
  const list = text.replace(/^[ \t\n\f\r]+/, '');
  const isIn = new Uint8Array(cpuCount);
  for (let at = 0; at < list.length; at = PART.lastIndex) {
    PART.lastIndex = at;
    const match = PART.exec(list);
    if (match === null) throw malformed('CPU set', text);
    const first = Number(match[2]);
    const last = Number(match[3] ?? first);
    const isExcluded = match[1] === '^';
    if (last < first || last > MAX_CPU || (isExcluded && match[3] !== undefined))
      throw malformed('CPU set', text);
    isIn.fill(isExcluded ? 0 : 1, first, last + 1);
  }
  const cpus: number[] = [];
  for (let cpu = isIn.indexOf(1); cpu >= 0; cpu = isIn.indexOf(1, cpu + 1)) cpus.push(cpu);
  if (cpus.length === 0) throw malformed('CPU set', text);
  return cpus;
}
