/**
 * One word for a POSIX shell. Names of VMs and threads come from tenants.
 *
 * @example shellWord("o'brien; reboot") // 'o'\''brien; reboot'
 */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_:.,=+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
