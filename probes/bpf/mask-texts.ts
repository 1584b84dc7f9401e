import { formatCpuList } from '../../kernel/cpu-list.ts';

/** A host has few different masks. The limit protects against a tenant that creates many. */
const MAX_TEXTS = 4096;

/** Formats affinity masks as `Cpus_allowed_list`, and each mask once: thousands of threads are read each second. */
export class MaskTexts {
  #texts = new Map<string, string>();

  /** @param cpus how many CPUs can exist; a mask may have bits beyond them */
  constructor(private readonly cpus: number) {}

  /** @param mask 64-bit words, little-endian */
  of(mask: Buffer): string {
    const key = mask.toString('latin1');
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    if (this.#texts.size >= MAX_TEXTS) this.#texts = new Map();
    const text = formatCpuList(cpusIn(mask, this.cpus));
    this.#texts.set(key, text);
    return text;
  }
}

function cpusIn(mask: Buffer, most: number): number[] {
  const cpus: number[] = [];
  for (let cpu = 0; cpu < Math.min(most, mask.length * 8); cpu++)
    if ((((mask[cpu >> 3] ?? 0) >> (cpu & 7)) & 1) === 1) cpus.push(cpu);
  return cpus;
}
