/**
 * Escapes control characters. Names of VMs and devices are untrusted, and a terminal would interpret them.
 */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
