import type { Logger } from 'pino';
import type { SourceError } from '../../probes/errors.ts';
import { fixOfExhaustion } from '../model/advice.ts';

/** Maximum number of distinct failures per probe that are logged separately. */
const MAX_PER_PROBE = 16;

/**
 * Logs each failure once when it starts, and recovery once when all failures of the probe have ended. A
 * scrape every second must not flood the log.
 */
export class ProblemLog {
  /** Probes that failed because no descriptor was free. All of them have the same cause. */
  readonly #exhausted = new Set<string>();
  /** Failures logged since the probe last succeeded, by probe. */
  readonly #said = new Map<string, Set<string>>();

  constructor(private readonly logger: Pick<Logger, 'info' | 'warn'>) {}

  /** @param problems all failures of the probe in this round */
  update(probe: string, problems: readonly SourceError[]): void {
    this.#noteExhaustion(probe, problems.find(({ kind }) => kind === 'exhausted')?.reason);
    const said = this.#said.get(probe) ?? new Set<string>();
    if (problems.length === 0) {
      if (said.size > 0) this.logger.info({ probe }, `probe ${probe}: all sources usable again`);
      this.#said.delete(probe);
      return;
    }
    this.#said.set(probe, said);
    for (const problem of problems) {
      if (problem.kind === 'exhausted') continue;
      const key = keyOf(problem);
      if (said.has(key)) continue;
      if (said.size > MAX_PER_PROBE) return;
      said.add(key);
      if (said.size > MAX_PER_PROBE) {
        this.logger.warn({ probe }, `probe ${probe}: more failures, which are not logged`);
        return;
      }
      const { path, kind, reason } = problem;
      const level = kind === 'absent' ? 'info' : 'warn';
      this.logger[level]({ probe, path, kind, reason }, `probe ${probe}: a source is not usable`);
    }
  }

  #noteExhaustion(probe: string, reason: string | undefined): void {
    const before = this.#exhausted.size;
    if (reason === undefined) this.#exhausted.delete(probe);
    else this.#exhausted.add(probe);
    const now = this.#exhausted.size;
    if (reason !== undefined && before === 0)
      this.logger.warn({ reason }, `no file descriptor is free (${reason}): ${fixOfExhaustion(reason)}`);
    if (before > 0 && now === 0) this.logger.info({}, 'file descriptors are free again');
  }
}

/** The same failure of another process or VM counts as the same failure. */
function keyOf({ path, kind, reason }: SourceError): string {
  return `${kind} ${path.replace(/\d+/g, 'N')} ${reason.replace(/\d+/g, 'N')}`;
}
