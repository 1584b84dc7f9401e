import { type Host, utf8 } from './host.ts';

const CAP = 256 * 1024;

/**
 * `/proc/<pid>/cmdline`: arguments, each ended by NUL. The process can rewrite it: a claim, not a fact.
 *
 * @returns arguments as UTF-8; empty for a kernel thread or a zombie
 * @example parseCmdline('qemu-system-x86_64\0-name\0guest=vm-a\0') // ['qemu-system-x86_64', '-name', 'guest=vm-a']
 */
export function parseCmdline(text: string): string[] {
  if (text === '') return [];
  return utf8(text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}

/** Reading takes the process's mmap_lock, which a process stuck in the kernel may hold for ever: hence the time-out. */
export async function readCmdline(host: Host, pid: number, timeoutMs: number): Promise<string[]> {
  return parseCmdline(await host.slowText(`${host.roots.procfs}/${pid}/cmdline`, CAP, timeoutMs));
}
