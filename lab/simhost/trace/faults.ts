import { Refusal } from './refusal.ts';

interface Rule {
  readonly pattern: RegExp;
  readonly refusal: Refusal;
}

/** Fault injection: commands that the kernel refuses. */
export class TracefsFaults {
  readonly #rules = new Set<Rule>();

  /**
   * Refuses each command that matches: `kvm/kvm_exit hist:keys=...`, `synthetic_events !x`, `mkdir x`,
   * `rmdir x`.
   *
   * @param reason for error_log
   * @returns a function that ends this
   */
  refuse(pattern: RegExp, code: string, reason?: string): () => void {
    const rule = { pattern, refusal: new Refusal(code, reason) };
    this.#rules.add(rule);
    return () => this.#rules.delete(rule);
  }

  /** @throws Refusal */
  check(command: string): void {
    for (const { pattern, refusal } of this.#rules) if (pattern.test(command)) throw refusal;
  }
}
