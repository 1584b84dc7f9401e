import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type EventFormat, readEventFormat, type SymbolTable } from '../../probes/tracefs-format.ts';
import { ARM_RET, ARM_TRAP, type Isa, type ReasonNames } from '../model/io-path.ts';

/** The second line names the vendor. */
const CPUINFO_HEAD = 256;

/** The exit reasons of the running kernel. */
export interface ExitFormat {
  readonly isa: Isa;
  readonly names: ReasonNames;
}

/**
 * Reads the format of kvm:kvm_exit. x86 has one format for both vendors, so the loaded module decides between
 * them.
 */
export function readExitFormat(host: Host): ExitFormat {
  const format = ifThere(() => readEventFormat(host, 'kvm', 'kvm_exit'));
  const isa = isaOf(host, format);
  return { isa, names: format === undefined ? new Map() : namesOf(format, isa) };
}

/** By the fields of kvm_exit; without the event, as on s390x and POWER, by the CPU. */
function isaOf(host: Host, format: EventFormat | undefined): Isa {
  // arch/arm64/kernel/cpuinfo.c; the line of LoongArch has two tabs.
  const isArm64 =
    format === undefined ? /^Features\t: /m.test(cpuinfoHead(host)) : format.fields.has('esr_ec');
  if (isArm64) return 'arm64';
  const isOther = format === undefined ? isOtherCpu(host) : !format.fields.has('exit_reason');
  return isOther ? 'other' : isAmd(host) ? 'svm' : 'vmx';
}

function isOtherCpu(host: Host): boolean {
  const cpu = cpuinfoHead(host);
  return cpu !== '' && !/^vendor_id\s*: (?!IBM)/m.test(cpu);
}

function cpuinfoHead(host: Host): string {
  return ifThere(() => host.head(`${host.roots.procfs}/cpuinfo`, CPUINFO_HEAD)) ?? '';
}

/** If both vendors' modules are built in, the CPU's vendor decides. */
function isAmd(host: Host): boolean {
  const has = (module: string): boolean =>
    ifThere(() => host.stat(`${host.roots.sysfs}/module/${module}`)) !== undefined;
  if (!has('kvm_amd')) return false;
  if (!has('kvm_intel')) return true;
  // Zhaoxin has VMX.
  return /^vendor_id\s*: (?:AuthenticAMD|HygonGenuine)$/m.test(cpuinfoHead(host));
}

function namesOf({ symbols }: EventFormat, isa: Isa): ReasonNames {
  if (isa === 'other') return new Map();
  if (isa !== 'arm64') return x86Names(symbols, isa);
  const table = (field: string): ReasonNames =>
    symbols.find((each) => each.field === field && each.mask === undefined)?.names ?? new Map();
  const kinds = [...table('ret')].map(([ret, name]) => [ret * ARM_RET, name] as const);
  const classes = [...table('esr_ec')].map(([ec, name]) => [ARM_TRAP * ARM_RET + ec, name] as const);
  return new Map([...kinds, ...classes]);
}

/** The first table is VMX's and the second SVM's. Linux 4.18 to 5.9 have no mask that distinguishes them. */
function x86Names(symbols: readonly SymbolTable[], isa: Isa): ReasonNames {
  const tables = symbols.filter(({ field }) => field === 'exit_reason');
  // A single table is VMX's if it masks the reason to 16 bits.
  const own =
    tables.length > 1
      ? tables[isa === 'vmx' ? 0 : 1]
      : tables.find(({ mask }) => (mask !== undefined) === (isa === 'vmx'));
  return own?.names ?? new Map();
}
