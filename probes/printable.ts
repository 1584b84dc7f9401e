/** Escapes control characters, which a terminal would interpret: names of VMs and devices are untrusted. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
