import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type EventFormat, readEventFormat, type SymbolTable } from '../../probes/tracefs-format.ts';
import { ARM_RET, ARM_TRAP, type Isa, type ReasonNames } from '../model/io-path.ts';

/** The vendor stands in the second line. */
const CPUINFO_HEAD = 256;

/** What the running kernel says of its exits. */
export interface ExitFormat {
  readonly isa: Isa;
  readonly names: ReasonNames;
}

/** From the format of kvm:kvm_exit, and from the module that is loaded: x86 has the same format for both vendors. */
export function readExitFormat(host: Host): ExitFormat {
  const format = ifThere(() => readEventFormat(host, 'kvm', 'kvm_exit'));
  const isa = format?.fields.has('esr_ec') ? 'arm64' : isAmd(host) ? 'svm' : 'vmx';
  return { isa, names: format === undefined ? new Map() : namesOf(format, isa) };
}

/** A kernel with both vendors' modules built in shows both: the CPU tells then. */
function isAmd(host: Host): boolean {
  const has = (module: string): boolean =>
    ifThere(() => host.stat(`${host.roots.sysfs}/module/${module}`)) !== undefined;
  if (!has('kvm_amd')) return false;
  if (!has('kvm_intel')) return true;
  const cpu = ifThere(() => host.head(`${host.roots.procfs}/cpuinfo`, CPUINFO_HEAD)) ?? '';
  return !/^vendor_id\s*: GenuineIntel$/m.test(cpu);
}

function namesOf({ symbols }: EventFormat, isa: Isa): ReasonNames {
  if (isa !== 'arm64') return x86Names(symbols, isa);
  const table = (field: string): ReasonNames =>
    symbols.find((each) => each.field === field && each.mask === undefined)?.names ?? new Map();
  const kinds = [...table('ret')].map(([ret, name]) => [ret * ARM_RET, name] as const);
  const classes = [...table('esr_ec')].map(([ec, name]) => [ARM_TRAP * ARM_RET + ec, name] as const);
  return new Map([...kinds, ...classes]);
}

/** The first table is VMX's and the second SVM's: Linux 4.18 to 5.9 have no mask by which to tell them apart. */
function x86Names(symbols: readonly SymbolTable[], isa: Isa): ReasonNames {
  const tables = symbols.filter(({ field }) => field === 'exit_reason');
  // A single table is VMX's where it looks at 16 bits only.
  const own =
    tables.length > 1
      ? tables[isa === 'vmx' ? 0 : 1]
      : tables.find(({ mask }) => (mask !== undefined) === (isa === 'vmx'));
  return own?.names ?? new Map();
}
