import type { Logger } from 'pino';
import type { SourceError } from '../probes/errors.ts';

/** Different failures of one probe that are told apart; more than these are one storm. */
const MAX_PER_PROBE = 16;

/** Says each failure once, when it begins, and its end once; a scrape every second must not fill the log. */
export class ProblemLog {
  readonly #active = new Map<string, Set<string>>();

  constructor(private readonly logger: Pick<Logger, 'info' | 'warn'>) {}

  /** @param problems all that the probe complained of in this round */
  update(probe: string, problems: readonly SourceError[]): void {
    const before = this.#active.get(probe) ?? new Set<string>();
    const now = new Set<string>();
    for (const problem of problems) {
      const key = keyOf(problem);
      if (now.has(key) || now.size >= MAX_PER_PROBE) continue;
      now.add(key);
      if (before.has(key)) continue;
      const { path, kind, reason } = problem;
      const level = kind === 'absent' ? 'info' : 'warn';
      this.logger[level]({ probe, path, kind, reason }, `probe ${probe}: a source is not usable`);
    }
    if (before.size > 0 && now.size === 0)
      this.logger.info({ probe }, `probe ${probe}: all sources usable again`);
    this.#active.set(probe, now);
  }
}

/** The same failure at another process or VM is the same failure. */
function keyOf({ path, kind, reason }: SourceError): string {
  return `${kind} ${path.replace(/\d+/g, 'N')} ${reason.replace(/\d+/g, 'N')}`;
}
