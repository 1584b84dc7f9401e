import { keyval } from '../../probes/qemu-options.ts';
import type { Vmm } from '../model/vmm.ts';

/** Identity from the command line of a VMM other than QEMU. Untrusted: the user who starts it chooses it. */
export interface VmmClaims {
  /** The name; without a name, a path that is the same after a restart, such as that of the API socket. */
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  /** Disk ids that the user configured. */
  readonly diskIds: readonly string[];
}

interface Spelling {
  /** Options for the name, in order of preference. */
  readonly names: readonly string[];
  /** Options for a path that belongs to this VM only. */
  readonly paths: readonly string[];
}

const SPELLINGS: Readonly<Record<Exclude<Vmm, 'qemu'>, Spelling>> = {
  'cloud-hypervisor': { names: [], paths: ['--api-socket'] },
  firecracker: { names: ['--id'], paths: ['--api-sock', '--config-file'] },
  crosvm: { names: ['--name'], paths: ['--socket', '-s'] },
  // -n is --network.
  kvmtool: { names: ['--name'], paths: [] },
  other: { names: ['--name', '--id', '-name'], paths: ['--api-socket', '--api-sock'] },
};
const MAX_DISKS = 1024;

/** @example claimsOf('firecracker', ['firecracker', '--id', 'web']) // name web */
export function claimsOf(vmm: Exclude<Vmm, 'qemu'>, argv: readonly string[]): VmmClaims {
  const { names, paths } = SPELLINGS[vmm];
  const first = (option: string): string | undefined => valuesOf(argv, option).find((value) => value !== '');
  const name = names.map(first).find((value) => value !== undefined);
  const path = paths
    .map(first)
    .map((value) => (value === undefined ? undefined : keyval(value, 'path').get('path')))
    .find((value) => value !== undefined && value !== '');
  const isCloudHypervisor = vmm === 'cloud-hypervisor';
  return {
    name: name ?? path,
    uuid: isCloudHypervisor
      ? valuesOf(argv, '--platform')
          .map((value) => keyval(value, '').get('uuid'))
          .at(-1)
      : undefined,
    diskIds: isCloudHypervisor
      ? valuesOf(argv, '--disk')
          .slice(0, MAX_DISKS)
          .flatMap((value) => keyval(value, '').get('id') ?? [])
      : [],
  };
}

/** All values of an option: `--disk a b`, `--disk=a`, and repetitions of both. */
function valuesOf(argv: readonly string[], option: string): string[] {
  const values: string[] = [];
  let isOpen = false;
  for (const argument of argv.slice(1)) {
    // Later arguments belong to the guest or to a wrapped program.
    if (argument === '--') break;
    if (argument === option) isOpen = true;
    else if (argument.startsWith(`${option}=`)) {
      values.push(argument.slice(option.length + 1));
      isOpen = false;
    } else if (argument.startsWith('-')) isOpen = false;
    else if (isOpen) values.push(argument);
  }
  return values;
}
