import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stateDirectoryProblem } from '../../state/directory.ts';
import type { ReportWork } from './in-thread.ts';
import type { ReportRequest } from './report.ts';

export interface ReportSettings extends Omit<ReportRequest, 'now'> {
  readonly directory: string;
  /** Number of reports that are kept. */
  readonly keep: number;
}

interface ReportLogger {
  info(fields: object, message: string): void;
}

/** `compare-20261127T040000Z.html` */
const NAME = /^compare-\d{8}T\d{6}Z\.html$/;

/** Writes reports to a directory, and removes the oldest. */
export class Reports {
  #work: ReportWork | undefined;

  constructor(
    private readonly start: (request: ReportRequest) => ReportWork,
    private readonly logger: ReportLogger,
  ) {}

  /** @param now seconds of the epoch. @throws Error if there is no report */
  async write({ directory, keep, ...about }: ReportSettings, now: number): Promise<void> {
    const work = this.start({ ...about, now });
    this.#work = work;
    const result = await work.result;
    if ('problem' in result) throw new Error(`report: ${result.problem}`);
    if ('nothing' in result) {
      this.logger.info({}, `no report: ${result.nothing}`);
      return;
    }
    const path = join(directory, nameAt(now));
    try {
      await mkdir(directory, { recursive: true, mode: 0o750 });
      const problem = stateDirectoryProblem(directory);
      if (problem !== undefined) throw new Error(problem);
      await replace(path, result.html);
      await removeOldest(directory, keep);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new Error(
        `report.dir: ${directory} ${code === undefined ? message : `cannot be written: ${code}`}`,
      );
    }
    this.logger.info({ path }, 'report written');
  }

  stop(): void {
    this.#work?.cancel();
  }
}

function nameAt(now: number): string {
  return `compare-${new Date(now * 1000).toISOString().replace(/[-:]|\.\d+/g, '')}.html`;
}

/** A reader sees a whole report or none. */
async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  try {
    await writeFile(temporary, text, { flag: 'wx', mode: 0o640 });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function removeOldest(directory: string, keep: number): Promise<void> {
  const reports = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  for (const name of reports.slice(0, -keep)) await rm(join(directory, name), { force: true });
}
