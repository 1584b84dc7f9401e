import type { Options, QemuOption } from './qemu-options.ts';

/** Type of a confidential guest. `confidential`: one without a name here, or whose type is not on the command line. */
export type ConfidentialType = 'sev' | 'sev_es' | 'sev_snp' | 'tdx' | 'confidential';

/** Objects that encrypt the guest's memory, the one that hides most first: qapi/qom.json. */
const TYPES: readonly (readonly [object: string, type: ConfidentialType])[] = [
  ['tdx-guest', 'tdx'],
  ['sev-snp-guest', 'sev_snp'],
  ['sev-guest', 'sev'],
  ['s390-pv-guest', 'confidential'],
  ['pef-guest', 'confidential'],
];
/** Bit 2 of the policy: the state of the CPU is encrypted. AMD SEV API, chapter 3. */
const POLICY_ES = 4;

/**
 * The type of the confidential guest that QEMU's options start; undefined for an ordinary guest.
 *
 * @see https://www.qemu.org/docs/master/system/confidential-guest-support.html
 * @example confidentialType(parseQemuOptions(['qemu', '-object', 'tdx-guest,id=t0']).options) // 'tdx'
 */
export function confidentialType(options: readonly QemuOption[]): ConfidentialType | undefined {
  const objects = options.flatMap(({ name, options: values }) => (name === 'object' ? [values] : []));
  for (const [object, type] of TYPES) {
    const own = objects.filter((values) => values.get('qom-type') === object);
    if (own.length > 0) return type === 'sev' && own.some(encryptsState) ? 'sev_es' : type;
  }
  const isNamed = options.some(
    ({ name, options: values }) =>
      name === 'machine' && (values.has('confidential-guest-support') || values.has('memory-encryption')),
  );
  return isNamed ? 'confidential' : undefined;
}

/** A policy that is no number may have the bit. */
function encryptsState(values: Options): boolean {
  const policy = values.get('policy');
  if (policy === undefined) return false;
  const bits = /^(?:0x[\da-f]{1,8}|\d{1,10})$/i.test(policy) ? Number(policy) : Number.NaN;
  return Number.isNaN(bits) || Math.floor(bits / POLICY_ES) % 2 === 1;
}
