import { decimalAt, decimalEnd } from './decimal.ts';
import { malformed } from './errors.ts';
import type { Host } from './host.ts';

export interface InterruptLine {
  /** `29`, or the mnemonic of an architecture line, such as `PIN`. */
  readonly id: string;
  /** Sum over the online CPUs. */
  readonly count: number;
  /** The last word of the line: the action, such as `nvme0q1`; empty where there is none. */
  readonly action: string;
}

/**
 * `/proc/interrupts`, fs/proc/interrupts.c and arch/x86/kernel/irq.c, only the lines that `wanted` picks: on a large
 * host the file has a million numbers and a few dozen lines matter.
 *
 * @param wanted gets a line's id and action
 * @throws SourceError malformed
 * @example parseInterrupts('      CPU0  CPU1\n 29: 15867  0 PCI-MSI 16385-edge nvme0q1\nPIN: 0 0 Posted-...\n', ...)
 */
export function parseInterrupts(
  text: string,
  wanted: (id: string, action: string) => boolean,
): InterruptLine[] {
  let lineStart = text.indexOf('\n') + 1;
  const header = text.slice(0, lineStart);
  const cpus = header.trim() === '' ? 0 : header.trim().split(/\s+/).length;
  if (lineStart === 0 || !/^\s*CPU\d/.test(header)) throw malformed('/proc/interrupts', header || text);

  const lines: InterruptLine[] = [];
  while (lineStart < text.length) {
    const newline = text.indexOf('\n', lineStart);
    const lineEnd = newline < 0 ? text.length : newline;
    const colon = text.indexOf(':', lineStart);
    if (colon < 0 || colon >= lineEnd) throw malformed('/proc/interrupts', text.slice(lineStart, lineEnd));
    const id = text.slice(lineStart, colon).trim();
    const rest = text.slice(colon + 1, lineEnd);
    const action = rest.slice(rest.lastIndexOf(' ') + 1);
    if (wanted(id, action)) lines.push({ id, count: sum(rest, cpus), action });
    lineStart = lineEnd + 1;
  }
  return lines;
}

function sum(text: string, cpus: number): number {
  let total = 0;
  let at = 0;
  for (let cpu = 0; cpu < cpus; cpu++) {
    while (text.charCodeAt(at) === 32) at++;
    const after = decimalEnd(text, at);
    if (after === at || (after < text.length && text.charCodeAt(after) !== 32)) break;
    total += decimalAt(text, at);
    at = after;
  }
  return total;
}

export function readInterrupts(host: Host, wanted: (id: string, action: string) => boolean): InterruptLine[] {
  return parseInterrupts(host.text(`${host.roots.procfs}/interrupts`, 16 * 1024 * 1024), wanted);
}
