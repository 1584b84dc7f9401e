import { join } from 'node:path';
import type { Roots } from '../../probes/host.ts';
import type { Config } from './options.ts';

/** Where the probes read: under `path.rootfs`, but for the paths that are given themselves. */
export function rootsOf(config: Config): Roots {
  const under = (path: string): string => join(config['path.rootfs'], path);
  const sysfs = config['path.sysfs'] ?? under('sys');
  return {
    procfs: config['path.procfs'] ?? under('proc'),
    sysfs,
    debugfs: config['path.debugfs'] ?? join(sysfs, 'kernel/debug'),
    tracefs: config['path.tracefs'] ?? join(sysfs, 'kernel/tracing'),
    libvirt: config['path.libvirt'] ?? under('run/libvirt/qemu'),
  };
}
