import { rmSync } from 'node:fs';
import type { Family } from '../../exporter/metrics/families.ts';
import { createBlocks } from './blocks.ts';
import { type HistorySink, OpenMetricsFile } from './sink.ts';

/**
 * Short, because the last chunk is converted after everything else is done. It must divide the two hours of a
 * block.
 */
const CHUNK_SECONDS = 1800;

/**
 * Makes the blocks while the history is generated: promtool reads a file once for each two hours in it, and
 * runs on another core.
 */
export class BlockSink implements HistorySink {
  #file: OpenMetricsFile | undefined;
  #chunk = 0;
  #blocks: Promise<void> = Promise.resolve();

  /**
   * @param folder for temporary text files
   * @param target labels of the scrape, as in OpenMetricsFile
   */
  constructor(
    private readonly folder: string,
    private readonly data: string,
    private readonly target?: string,
  ) {}

  take(families: readonly Family[], at: number): void {
    const chunk = Math.floor(at / CHUNK_SECONDS);
    if (this.#file !== undefined && chunk !== this.#chunk) this.#finish(this.#file);
    this.#chunk = chunk;
    this.#file ??= new OpenMetricsFile(`${this.folder}/${chunk}.om`, this.target);
    this.#file.take(families, at);
  }

  /** @throws Error with promtool's message, or if promtool is not installed */
  async end(): Promise<void> {
    if (this.#file !== undefined) this.#finish(this.#file);
    await this.#blocks;
  }

  #finish(file: OpenMetricsFile): void {
    this.#file = undefined;
    const before = this.#blocks;
    this.#blocks = (async () => {
      await file.end();
      await before;
      if (!(await createBlocks(file.path, this.data))) throw new Error('promtool is not installed');
      rmSync(file.path);
    })();
    // end() reports the error.
    this.#blocks.catch(() => undefined);
  }
}
