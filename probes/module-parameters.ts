import { ifThere, isGone, SourceError } from './errors.ts';
import type { Host } from './host.ts';

export interface ModuleParameter {
  readonly module: string;
  readonly parameter: string;
  /** As the kernel prints it: a number, Y or N, or a word. */
  readonly value: string;
}

/** Modules whose parameters affect the I/O of a VM. */
const MODULES: readonly string[] = [
  'kvm',
  'kvm_intel',
  'kvm_amd',
  'kvm_pvm',
  'vhost',
  'vhost_net',
  'nvme',
  'nvme_core',
];

/**
 * Reads `/sys/module/<module>/parameters/*`. Skips modules that are not loaded and unreadable parameters
 * (0200).
 *
 * @see https://docs.kernel.org/virt/kvm/halt-polling.html#module-parameters
 */
export function readModuleParameters(host: Host, modules: readonly string[] = MODULES): ModuleParameter[] {
  const parameters: ModuleParameter[] = [];
  for (const module of modules) {
    const directory = `${host.roots.sysfs}/module/${module}/parameters`;
    for (const parameter of entriesOrNone(host, directory)) {
      const value = readable(host, `${directory}/${parameter}`);
      if (value !== undefined) parameters.push({ module, parameter, value });
    }
  }
  return parameters;
}

function entriesOrNone(host: Host, directory: string): string[] {
  return ifThere(() => host.entries(directory).sort()) ?? [];
}

function readable(host: Host, path: string): string | undefined {
  try {
    return host.attribute(path).trim();
  } catch (error) {
    if (isGone(error) || (error instanceof SourceError && error.kind === 'denied')) return undefined;
    throw error;
  }
}

/** Converts a number or a kernel boolean to a number (Y is 1, N is 0); undefined for a word. */
export function moduleParameterNumber(value: string): number | undefined {
  if (value === 'Y') return 1;
  if (value === 'N') return 0;
  return /^-?\d{1,20}$/.test(value) ? Number(value) : undefined;
}
