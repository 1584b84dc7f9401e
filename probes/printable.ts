/** Names of VMs and devices come from others; what a terminal would obey is shown instead. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
