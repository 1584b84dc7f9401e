import { rmSync } from 'node:fs';
import type { Family } from '../../exporter/metrics/families.ts';
import { createBlocks } from './blocks.ts';
import { type HistorySink, OpenMetricsFile } from './sink.ts';

/** Short, as blocks of what comes last are made when all else is done; a divisor of the two hours of a block. */
const CHUNK_SECONDS = 1800;

/** Makes blocks of a history while it goes on: promtool reads a file once for each two hours in it, and has a core of its own. */
export class BlockSink implements HistorySink {
  #file: OpenMetricsFile | undefined;
  #chunk = 0;
  #blocks: Promise<void> = Promise.resolve();

  /**
   * @param folder for the text, which is there only for as long as it is needed
   * @param target labels of the scrape, as OpenMetricsFile has them
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

  /** @throws Error with what promtool said, or that it is not installed */
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
    // Whoever waits for the end is told.
    this.#blocks.catch(() => undefined);
  }
}
