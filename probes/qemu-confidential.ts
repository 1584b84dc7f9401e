import type { QemuOption } from './qemu-options.ts';

/** Objects that encrypt the guest's memory: qapi/qom.json. */
const OBJECT = /^(?:sev-guest|sev-snp-guest|tdx-guest|s390-pv-guest|pef-guest)$/;

/**
 * Whether QEMU's options start a confidential guest.
 *
 * @see https://www.qemu.org/docs/master/system/confidential-guest-support.html
 * @example isConfidential(parseQemuOptions(['qemu', '-object', 'tdx-guest,id=t0']).options) // true
 */
export function isConfidential(options: readonly QemuOption[]): boolean {
  return options.some(
    ({ name, options: values }) =>
      (name === 'object' && OBJECT.test(values.get('qom-type') ?? '')) ||
      (name === 'machine' && (values.has('confidential-guest-support') || values.has('memory-encryption'))),
  );
}
