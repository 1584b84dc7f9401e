import { isAbsolute } from 'node:path';
import { sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { CommandLine } from '../../probes/proc-pid-cmdline.ts';
import { absolutePath } from '../../probes/proc-pid-cwd.ts';
import { readQemuConfig } from '../../probes/qemu-config.ts';
import { PLAIN, parseQemuOptions, type QemuOption } from '../../probes/qemu-options.ts';
import { withSettings } from '../../probes/qemu-settings.ts';

/** QEMU's options from its command line and its configuration files, in QEMU's order. */
export interface QemuConfiguration {
  readonly options: readonly QemuOption[];
  /** The reason why the options are incomplete. Then the absence of an option means nothing. */
  readonly missing: readonly string[];
  /** Paths of `-readconfig`. */
  readonly files: readonly string[];
  /** Whether it has left the directory in which it was started. */
  readonly isDaemon: boolean;
}

/** More than the two files of real configurations. */
const MAX_FILES = 8;

export async function readQemuConfiguration(
  host: Host,
  pid: number,
  { argv, isWhole }: CommandLine,
  timeoutMs: number,
): Promise<QemuConfiguration> {
  const { options, dropped } = parseQemuOptions(argv);
  const missing: string[] = [];
  if (!isWhole) missing.push('its command line is longer than 2 MiB');
  if (dropped > 0) missing.push(`${dropped} more options than are kept`);
  const isDaemon = options.some(({ name }) => name === 'daemonize');
  const all: QemuOption[] = [];
  const files: string[] = [];
  for (const option of options) {
    const file = option.name === 'readconfig' ? option.options.get(PLAIN) : undefined;
    if (file === undefined) {
      all.push(option);
      continue;
    }
    const path = isDaemon ? file : absolutePath(host, pid, file);
    files.push(path);
    if (!isAbsolute(path) || files.length > MAX_FILES) {
      missing.push(`-readconfig ${path}: not read, as only few files with an absolute path are`);
      continue;
    }
    try {
      all.push(...(await readQemuConfig(host, pid, path, timeoutMs)));
    } catch (error) {
      missing.push(`-readconfig ${path}: ${sourceError(error, path).reason}`);
    }
  }
  return { options: withSettings(all), missing, files, isDaemon };
}
