import { type Host, utf8 } from './host.ts';

/** Linux allows 6 MiB of arguments; a VM with 2,000 disks has 1.6 MB. */
const CAP = 2 * 1024 * 1024;

/**
 * Parses `/proc/<pid>/cmdline`: arguments, each terminated by NUL. Untrusted: the process can overwrite it.
 *
 * @returns arguments as UTF-8; empty for a kernel thread or a zombie
 * @example parseCmdline('qemu-system-x86_64\0-name\0guest=vm-a\0') // ['qemu-system-x86_64', '-name', 'guest=vm-a']
 */
export function parseCmdline(text: string): string[] {
  if (text === '') return [];
  return utf8(text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

export interface CommandLine {
  readonly argv: readonly string[];
  /** False if the command line is longer than the part that was read. A truncated argument is left out. */
  readonly isWhole: boolean;
}

/** The read takes mmap_lock, which a process stuck in the kernel may hold forever: hence the timeout. */
export async function readCmdline(host: Host, pid: number, timeoutMs: number): Promise<CommandLine> {
  const { text, isWhole } = await host.slowHead(`${host.roots.procfs}/${pid}/cmdline`, CAP, timeoutMs);
  return { argv: parseCmdline(isWhole ? text : text.slice(0, text.lastIndexOf('\0') + 1)), isWhole };
}
