import { formatCpuList } from '../../kernel/cpu-list.ts';

/** A host has few different masks. The limit protects against a tenant that creates many. */
const MAX_TEXTS = 4096;

/** Formats affinity masks as `Cpus_allowed_list`, and each mask once: thousands of threads are read each second. */
export class MaskTexts {
  #texts = new Map<string, string>();

  /** @param cpus how many CPUs can exist; a mask may have bits beyond them */
  constructor(private readonly cpus: number) {}

  /** @param mask 64-bit words, little-endian, one character for each byte */
  of(mask: string): string {
    const known = this.#texts.get(mask);
    if (known !== undefined) return known;
    if (this.#texts.size >= MAX_TEXTS) this.#texts = new Map();
    const text = formatCpuList(cpusIn(mask, this.cpus));
    this.#texts.set(mask, text);
    return text;
  }
}

function cpusIn(mask: string, most: number): number[] {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < Math.min(most, mask.length * 8); cpu++)
    if (((mask.charCodeAt(cpu >> 3) >> (cpu & 7)) & 1) === 1) cpus.push(cpu);
  return cpus;
}
