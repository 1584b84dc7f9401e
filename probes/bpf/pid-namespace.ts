import { SourceError } from '../errors.ts';
import type { Host } from '../host.ts';

/** The first pid namespace, include/linux/proc_ns.h PROC_PID_INIT_INO. */
const FIRST = 'pid:[4026531836]';

/**
 * An iterator sees only the processes of its own pid namespace, and programs on tracepoints name threads by their ids in the first.
 *
 * @throws SourceError if this process is in another one
 */
export function checkPidNamespace(host: Host): void {
  const path = '/proc/self/ns/pid';
  if (host.link(path) !== FIRST)
    throw new SourceError(
      'denied',
      path,
      'BPF needs the first pid namespace, and this process is in another',
      'until_restart',
    );
}
