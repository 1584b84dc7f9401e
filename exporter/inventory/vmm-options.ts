import { basename } from 'node:path';
import { unixPath } from '../../probes/qemu-command-line.ts';
import type { ConfidentialType } from '../../probes/qemu-confidential.ts';
import type { QemuIoPath, QemuIoSign } from '../../probes/qemu-io-path.ts';
import { keyval } from '../../probes/qemu-options.ts';
import type { Vmm } from '../model/vmm.ts';

/** Identity from the command line of a VMM other than QEMU. Untrusted: the user who starts it chooses it. */
export interface VmmClaims {
  readonly name: string | undefined;
  /** A path that is the same after a restart, such as that of the API socket. */
  readonly path: string | undefined;
  readonly uuid: string | undefined;
  /** Disk ids that the user configured. */
  readonly diskIds: readonly string[];
  readonly confidential: ConfidentialType | undefined;
  /** undefined if the devices are not on the command line. */
  readonly ioPath: QemuIoPath | undefined;
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
  // --comment is VirtualBox on KVM. Kata's shim has -id, but case dragonball-vcpu-threads requires its pid.
  // -qmp is StratoVirt's, whose socket is its API.
  other: {
    names: ['--name', '--id', '-name', '--comment'],
    paths: ['--api-socket', '--api-sock', '-qmp'],
  },
};
/** Options of `krunvm start` that have a value. */
const KRUNVM_VALUES = new Set(['--cpus', '--mem', '--env']);
const MAX_DISKS = 4096;

/** @example claimsOf('firecracker', ['firecracker', '--id', 'web']) // name web */
export function claimsOf(vmm: Exclude<Vmm, 'qemu'>, argv: readonly string[]): VmmClaims {
  const { names, paths } = SPELLINGS[vmm];
  const first = (option: string): string | undefined => valuesOf(argv, option).find((value) => value !== '');
  const name = containerOf(argv) ?? krunvmName(argv) ?? names.map(first).find((value) => value !== undefined);
  const path = paths
    .map(first)
    .map((value) =>
      value === undefined ? undefined : (unixPath(value) ?? keyval(value, 'path').get('path')),
    )
    .find((value) => value !== undefined && value !== '');
  const isCloudHypervisor = vmm === 'cloud-hypervisor';
  return {
    name,
    path,
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
    confidential: isCloudHypervisor ? confidentialOf(argv) : undefined,
    ioPath: isCloudHypervisor ? ioPathOf(argv) : undefined,
  };
}

/** gVisor's sandbox has the id of its container as the last argument: runsc/sandbox/sandbox.go createSandboxProcess(). */
function containerOf(argv: readonly string[]): string | undefined {
  const [program = ''] = argv;
  return basename(program) === 'runsc-sandbox' && argv.includes('boot') ? argv.at(-1) : undefined;
}

/**
 * krunvm runs libkrun in its own process: `krunvm start [--cpus 2] web /bin/sh`, src/commands/start.rs. The command and its
 * arguments belong to the guest.
 */
function krunvmName(argv: readonly string[]): string | undefined {
  const start = argv.indexOf('start');
  if (basename(argv[0] ?? '') !== 'krunvm' || start < 0) return undefined;
  return argv
    .slice(start + 1)
    .find((word, i, words) => !word.startsWith('-') && !KRUNVM_VALUES.has(words[i - 1] ?? ''));
}

/** The type of a confidential guest. As of Cloud Hypervisor 37: `--platform tdx=on`, `--platform sev_snp=on`. */
function confidentialOf(argv: readonly string[]): ConfidentialType | undefined {
  const platform = valuesOf(argv, '--platform').map((value) => keyval(value, ''));
  const types = ['tdx', 'sev_snp'] as const;
  return types.find((type) => platform.some((values) => isOn(values.get(type))));
}

/** A VM without a kernel, firmware or IGVM file on the command line gets its devices by Cloud Hypervisor's API. */
function ioPathOf(argv: readonly string[]): QemuIoPath | undefined {
  if (!argv.some((argument) => /^--(?:kernel|firmware|igvm)(?:=|$)/.test(argument))) return undefined;
  const signs = new Set<QemuIoSign>();
  const isVhostUser = valuesOf(argv, '--disk').some((value) => isOn(keyval(value, '').get('vhost_user')));
  if (isVhostUser) signs.add('vhost_user');
  if (valuesOf(argv, '--user-device').length > 0) signs.add('vfio_user');
  return { signs, nvmeAddresses: [], vdpaWithoutDisk: [], hasVfioDevice: false };
}

/** option_parser/src/lib.rs Toggle. */
function isOn(value: string | undefined): boolean {
  return /^(?:on|true)$/i.test(value ?? '');
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
