import { keyval } from '../../probes/qemu-options.ts';
import type { Vmm } from '../model/vmm.ts';

/** What the command line of another VMM than QEMU says; the user who started it can write anything there. */
export interface VmmClaims {
  /** Its name, else a path that stays the same when it is started again, such as that of its API socket. */
  readonly name: string | undefined;
  readonly uuid: string | undefined;
  /** Ids that its user gave to disks. */
  readonly diskIds: readonly string[];
}

interface Spelling {
  /** Options for the name, the best first. */
  readonly names: readonly string[];
  /** Options for a path that is the VM's own. */
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

/** All values of an option: `--disk a b`, `--disk=a`, and both again. */
function valuesOf(argv: readonly string[], option: string): string[] {
  const values: string[] = [];
  let isOpen = false;
  for (const argument of argv.slice(1)) {
    // What follows is for the guest, or for a program that is wrapped.
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
