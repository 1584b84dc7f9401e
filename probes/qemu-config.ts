import { type Host, utf8 } from './host.ts';
import type { QemuOption } from './qemu-options.ts';

/** LXD writes 10 to 30 KB. */
const CAP = 1024 * 1024;
const MAX_OPTIONS = 4096;
/** util/qemu-config.c reads lines of up to 1,023 bytes. */
const MAX_LINE = 1024;

/**
 * Parses a file for QEMU's `-readconfig`, util/qemu-config.c qemu_config_foreach(): `[group]` or `[group
 * "id"]`, then `key = "value"`. A group is equivalent to the option of the same name.
 *
 * @see https://www.qemu.org/docs/master/system/invocation.html
 * @example parseQemuConfig('[device "scsi0"]\ndriver = "virtio-scsi-pci"\n') // device: id scsi0, driver virtio-scsi-pci
 */
export function parseQemuConfig(text: string): QemuOption[] {
  const found: { name: string; options: Map<string, string> }[] = [];
  for (const raw of utf8(text).split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.length > MAX_LINE) continue;
    const group = /^\[([^\]"\s]{1,63})(?: +"([^"]{1,63})")?\]/.exec(line);
    if (group !== null) {
      if (found.length >= MAX_OPTIONS) break;
      const [, name = '', id] = group;
      found.push({ name, options: new Map(id === undefined ? [] : [['id', id]]) });
      continue;
    }
    const [, key, value] = /^(\S{1,63}) {0,8}= {0,8}"([^"]{0,1023})"/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) found.at(-1)?.options.set(key, value);
  }
  return found;
}

/**
 * Reads the file as the process sees it: below `/proc/<pid>/root`; a link cannot lead out of it.
 *
 * @throws SourceError
 */
export async function readQemuConfig(
  host: Host,
  pid: number,
  path: string,
  timeoutMs: number,
): Promise<QemuOption[]> {
  return parseQemuConfig(await host.textOfProcess(pid, path, CAP, timeoutMs));
}
