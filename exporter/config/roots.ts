import { opendirSync } from 'node:fs';
import { join } from 'node:path';
import type { Roots } from '../../probes/host.ts';
import { stateDirectoryProblem } from '../state/directory.ts';
import { ConfigError } from './load.ts';
import type { Config } from './options.ts';

type Paths = Extract<keyof Config, `path.${string}`>;

/** Paths for the probes: under `path.rootfs`, except for paths that are set individually. */
export function rootsOf(config: Pick<Config, 'path.rootfs'> & Partial<Pick<Config, Paths>>): Roots {
  const under = (path: string): string => join(config['path.rootfs'], path);
  const sysfs = config['path.sysfs'] ?? under('sys');
  return {
    procfs: config['path.procfs'] ?? under('proc'),
    sysfs,
    debugfs: config['path.debugfs'] ?? join(sysfs, 'kernel/debug'),
    tracefs: config['path.tracefs'] ?? join(sysfs, 'kernel/tracing'),
    libvirt: config['path.libvirt'] ?? under('run/libvirt/qemu'),
    libvirtConfig: config['path.libvirtConfig'] ?? under('etc/libvirt/qemu'),
    pve: config['path.pve'] ?? under('etc/pve'),
    pveRun: config['path.pveRun'] ?? under('run/qemu-server'),
    bpf: config['path.bpf'],
  };
}

/** No VM can be found without procfs. Usually the host is mounted elsewhere. @throws ConfigError */
export function checkRoots(config: Config): void {
  const { procfs } = rootsOf(config);
  try {
    opendirSync(procfs).closeSync();
  } catch (error) {
    const flag = config['path.procfs'] === undefined ? '--path.rootfs' : '--path.procfs';
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(
      `${flag}: ${JSON.stringify(procfs)} cannot be read (${code}): give the directory where the host's procfs is mounted`,
    );
  }
}

/** Other users could forge state in a directory that they can write to. @throws ConfigError */
export function checkStateDirectory(config: Config): void {
  const directory = config['state.dir'];
  const problem = stateDirectoryProblem(directory);
  if (problem !== undefined) throw new ConfigError(`--state.dir: ${JSON.stringify(directory)} ${problem}`);
}
