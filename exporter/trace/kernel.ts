import { ifThere } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import { type EventFormat, readEventFormat } from '../../probes/tracefs-format.ts';
import { ARM_RET, ARM_TRAP, type Isa, type ReasonNames } from '../model/io-path.ts';

/** What the running kernel says of its exits. */
export interface ExitFormat {
  readonly isa: Isa;
  readonly names: ReasonNames;
}

/** From the format of kvm:kvm_exit, and from the module that is loaded: x86 has the same format for both vendors. */
export function readExitFormat(host: Host): ExitFormat {
  const format = ifThere(() => readEventFormat(host, 'kvm', 'kvm_exit'));
  const isAmd = ifThere(() => host.stat(`${host.roots.sysfs}/module/kvm_amd`)) !== undefined;
  const isa = format?.fields.has('esr_ec') ? 'arm64' : isAmd ? 'svm' : 'vmx';
  return { isa, names: format === undefined ? new Map() : namesOf(format, isa) };
}

function namesOf({ symbols }: EventFormat, isa: Isa): ReasonNames {
  const table = (field: string, masked: boolean): ReasonNames =>
    symbols.find((each) => each.field === field && (each.mask !== undefined) === masked)?.names ?? new Map();
  // On x86 the first table is VMX's, whose reasons have 16 bits, and the second SVM's.
  if (isa !== 'arm64') return table('exit_reason', isa === 'vmx');
  const kinds = [...table('ret', false)].map(([ret, name]) => [ret * ARM_RET, name] as const);
  const classes = [...table('esr_ec', false)].map(([ec, name]) => [ARM_TRAP * ARM_RET + ec, name] as const);
  return new Map([...kinds, ...classes]);
}
