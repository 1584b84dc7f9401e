import { ifThere } from './errors.ts';
import type { Host } from './host.ts';

export interface KernelNames {
  /** In the UTS namespace of the exporter: a container has its own. Undefined for a copy without the file. */
  readonly hostname: string | undefined;
  /** As `uname -r` prints it. */
  readonly release: string | undefined;
}

/** `/proc/sys/kernel/{hostname,osrelease}`, kernel/utsname_sysctl.c. @throws SourceError */
export function readKernelNames(host: Host): KernelNames {
  const read = (name: string): string | undefined =>
    ifThere(() => host.attribute(`${host.roots.procfs}/sys/kernel/${name}`).trim()) || undefined;
  return { hostname: read('hostname'), release: read('osrelease') };
}
