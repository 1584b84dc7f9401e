import type { Logger } from 'pino';
import type { SourceError } from '../../probes/errors.ts';
import { fixOfExhaustion } from '../model/source-advice.ts';

/** Maximum number of distinct failures per collector that are logged separately. */
const MAX_PER_COLLECTOR = 16;

/**
 * Logs each failure once when it starts, and recovery once when all failures of the collector have ended. A
 * scrape every second must not flood the log.
 */
export class ProblemLog {
  /** Collectors that failed because no descriptor was free. All of them have the same cause. */
  readonly #exhausted = new Set<string>();
  /** Failures logged since the collector last succeeded, by collector. */
  readonly #logged = new Map<string, Set<string>>();

  constructor(private readonly logger: Pick<Logger, 'info' | 'warn'>) {}

  /** @param problems all failures of the collector in this round */
  update(collector: string, problems: readonly SourceError[]): void {
    this.#noteExhaustion(
      collector,
      problems.find(({ kind }) => kind === 'exhausted'),
    );
    const logged = this.#logged.get(collector) ?? new Set<string>();
    if (problems.length === 0) {
      if (logged.size > 0)
        this.logger.info({ collector }, `collector ${collector}: all sources usable again`);
      this.#logged.delete(collector);
      return;
    }
    this.#logged.set(collector, logged);
    for (const problem of problems) {
      if (problem.kind === 'exhausted') continue;
      const key = keyOf(problem);
      if (logged.has(key)) continue;
      if (logged.size > MAX_PER_COLLECTOR) return;
      logged.add(key);
      if (logged.size > MAX_PER_COLLECTOR) {
        this.logger.warn({ collector }, `collector ${collector}: further failures are not logged`);
        return;
      }
      const { path, kind, reason } = problem;
      const level = kind === 'absent' ? 'info' : 'warn';
      this.logger[level]({ collector, path, kind, reason }, `collector ${collector}: a source is not usable`);
    }
  }

  #noteExhaustion(collector: string, problem: SourceError | undefined): void {
    const before = this.#exhausted.size;
    if (problem === undefined) this.#exhausted.delete(collector);
    else this.#exhausted.add(collector);
    if (problem !== undefined && before === 0) {
      const { reason } = problem;
      this.logger.warn({ reason }, `no file descriptor is free (${reason}): ${fixOfExhaustion(problem)}`);
    }
    if (before > 0 && this.#exhausted.size === 0) this.logger.info({}, 'file descriptors are free again');
  }
}

/** The same failure of another process or VM counts as the same failure. */
function keyOf({ path, kind, reason }: SourceError): string {
  return `${kind} ${path.replace(/\d+/g, 'N')} ${reason.replace(/\d+/g, 'N')}`;
}
