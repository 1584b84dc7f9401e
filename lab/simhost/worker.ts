import { parentPort, workerData } from 'node:worker_threads';
import { SCENARIOS } from './scenarios.ts';

/** What a thread that runs a simulated host is given. */
export interface SimulationData {
  readonly folder: string;
  readonly scenario: string;
  readonly seed: number;
  /** The process that reads the host: it looks for itself among the processes of the host. */
  readonly pid: number;
}

/** Virtual time goes with real time, so what is late is not made up for. */
const STEP_SECONDS = 1;

/** Lets a scenario live in real time until the thread is ended; says once when its files are there. */
async function live({ folder, scenario: name, seed, pid }: SimulationData): Promise<void> {
  const make = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
  if (make === undefined)
    throw new Error(`no scenario ${JSON.stringify(name)}: use one of ${Object.keys(SCENARIOS).join(', ')}`);
  const { host, script } = make({ seed, startTime: Math.floor(Date.now() / 1000) });
  // Threads are on CPUs only when some time has passed.
  host.step(STEP_SECONDS);
  host.writeTo(folder);
  host.addProcess(pid, 'node');
  await host.serve();
  parentPort?.postMessage('ready');
  setInterval(() => {
    script();
    host.step(STEP_SECONDS);
  }, STEP_SECONDS * 1000);
}

if (parentPort !== null) await live(workerData as SimulationData);
