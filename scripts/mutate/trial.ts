import type { Mutant } from './mutants.ts';
import { Lost, TestWorker, type WorkerFiles } from './pool.ts';

export type Outcome = 'killed' | 'timed out' | 'survived' | 'no coverage';

export interface Result {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
  /** The test that failed, or how the process ended. */
  readonly by: string | undefined;
}

export interface Measured {
  readonly test: string;
  readonly ms: number;
  readonly covered: readonly string[];
}

export interface Suite extends WorkerFiles {
  /** Test files ordered by their distance from a source. */
  nearest(file: string): readonly string[];
}

/** Slower tests are not used: each surviving mutant would run them. */
const LONGEST_MS = 10_000;
/** Total time, without mutants, of the tests for one mutant. */
const BUDGET_MS = 15_000;
const NEAREST = 6;
/** Skip the rest of a file after this many of its tests timed out or ended the process. */
const TOO_MANY = 3;
/** Allows for a busy machine. */
const MEASURE_MS = 60_000;
/** The machine may be busier than during the measurement. */
const PATIENCE_MS = 10_000;
const PATIENCE = 10;

/**
 * Runs each test once to record the mutants that it executes. Each free worker takes the next test.
 *
 * @param isLate whether to stop; tests that were not measured are not used
 */
export async function measure(
  suite: WorkerFiles,
  workers: number,
  say: (text: string) => void,
  isLate: () => boolean = () => false,
): Promise<{ measured: Measured[]; loaded: Set<string>; left: readonly string[] }> {
  const measured: Measured[] = [];
  const loaded = new Set<string>();
  const lost = new Map<string, number>();
  let queue: string[] | undefined;
  const run = async (): Promise<void> => {
    let worker: TestWorker | undefined;
    const start = async (): Promise<TestWorker> => {
      const started = new TestWorker(suite);
      const { failure, tests, covered } = await started.ready();
      if (failure !== undefined) throw new Error(`without a mutant: ${failure}`);
      queue ??= [...tests];
      for (const id of covered) loaded.add(id);
      return started;
    };
    worker = await start();
    for (let test = isLate() ? undefined : queue?.shift(); test !== undefined; ) {
      try {
        const reply = await worker.request({ kind: 'measure', test }, 'measured', MEASURE_MS);
        if (reply.failure !== undefined)
          say(`not used, as it fails without a mutant: ${test}: ${reply.failure}`);
        else if (reply.ms <= LONGEST_MS) measured.push(reply);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        const [file = ''] = test.split(' > ');
        lost.set(file, (lost.get(file) ?? 0) + 1);
        say(`not used, as its process ${error.how}: ${test}`);
        // The other tests of the file would take as long.
        if ((lost.get(file) ?? 0) >= TOO_MANY) queue = queue?.filter((other) => !other.startsWith(file));
        worker = await start();
      }
      test = isLate() ? undefined : queue?.shift();
    }
    await worker.end();
  };
  await Promise.all(Array.from({ length: workers }, run));
  return { measured, loaded, left: queue ?? [] };
}

/** A worker that runs tests with mutants. */
export class Trial {
  #worker: TestWorker | undefined;

  constructor(
    private readonly suite: Suite,
    private readonly measured: readonly Measured[],
    private readonly loaded: ReadonlySet<string>,
  ) {}

  async try(mutant: Mutant): Promise<Result> {
    const near = this.suite.nearest(mutant.file);
    const rank = ({ test }: Measured): number => near.findIndex((file) => test.startsWith(file));
    const meeting = this.measured
      .filter(({ covered }) => covered.includes(mutant.id))
      .sort((a, b) => rank(a) - rank(b) || a.ms - b.ms);
    let ms = 0;
    const chosen = meeting.filter((each) => {
      if (ms + each.ms > BUDGET_MS) return false;
      ms += each.ms;
      return true;
    });
    const isStatic = this.loaded.has(mutant.id);
    if (meeting.length === 0 && !isStatic) return { mutant, outcome: 'no coverage', by: undefined };
    const result = await this.#tryTests(
      mutant,
      chosen.map(({ test }) => test),
      ms,
    );
    return result.outcome === 'survived' && isStatic ? this.#tryLoading(mutant) : result;
  }

  async end(): Promise<void> {
    await this.#worker?.end();
  }

  async #tryTests(mutant: Mutant, tests: readonly string[], ms: number): Promise<Result> {
    if (tests.length === 0) return { mutant, outcome: 'survived', by: undefined };
    if (this.#worker === undefined) {
      this.#worker = new TestWorker(this.suite);
      await this.#worker.ready();
    }
    const patience = PATIENCE_MS + PATIENCE * ms;
    try {
      const order = { kind: 'try', mutant: mutant.id, tests } as const;
      const { killer, why, spoilt } = await this.#worker.request(order, 'tried', patience);
      if (!spoilt)
        return {
          mutant,
          outcome: killer === undefined ? 'survived' : 'killed',
          by: killer && `${killer}: ${why}`,
        };
      // A new process shows whether this mutant or an earlier one caused the failure.
      await this.#worker.end();
      this.#worker = new TestWorker(this.suite);
      await this.#worker.ready();
      const again = await this.#worker.request(order, 'tried', patience);
      if (again.spoilt) await this.#forget();
      return { mutant, outcome: again.killer === undefined ? 'survived' : 'killed', by: again.killer };
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      this.#worker = undefined;
      return { mutant, outcome: error.how === 'timed out' ? 'timed out' : 'killed', by: error.message };
    }
  }

  async #forget(): Promise<void> {
    await this.#worker?.end();
    this.#worker = undefined;
  }

  /** Code that runs at load time needs a new process. The nearest file alone finds most of these mutants. */
  async #tryLoading(mutant: Mutant): Promise<Result> {
    const names = this.suite.nearest(mutant.file).slice(0, NEAREST);
    const first = await this.#tryFiles(mutant, names.slice(0, 1));
    return first.outcome === 'survived' && names.length > 1 ? this.#tryFiles(mutant, names.slice(1)) : first;
  }

  async #tryFiles(mutant: Mutant, names: readonly string[]): Promise<Result> {
    const tests = this.suite.tests.filter((url) => names.some((name) => url.endsWith(`/dist/test/${name}`)));
    const usable = this.measured.filter(({ test }) => names.some((name) => test.startsWith(name)));
    const worker = new TestWorker({ ...this.suite, tests }, mutant.id);
    try {
      const { failure } = await worker.ready();
      if (failure !== undefined) return { mutant, outcome: 'killed', by: failure };
      const ms = usable.reduce((sum, each) => sum + each.ms, 0);
      const order = { kind: 'try', mutant: mutant.id, tests: usable.map(({ test }) => test) } as const;
      const { killer } = await worker.request(order, 'tried', PATIENCE_MS + PATIENCE * ms);
      return { mutant, outcome: killer === undefined ? 'survived' : 'killed', by: killer };
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      return { mutant, outcome: error.how === 'timed out' ? 'timed out' : 'killed', by: error.message };
    } finally {
      await worker.end();
    }
  }
}
