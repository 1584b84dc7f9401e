import { parentPort, workerData } from 'node:worker_threads';
import { SCENARIOS } from './scenarios.ts';

/** Data for the thread that runs a simulated host. */
export interface SimulationData {
  readonly folder: string;
  readonly scenario: string;
  readonly seed: number;
  /** The exporter's process id, which it looks up among the processes of the host. */
  readonly pid: number;
}

/** The thread's first message. An unknown scenario is answered with the names of all. */
export type SimulationMessage = 'ready' | { readonly scenarios: readonly string[] };

function post(message: SimulationMessage): void {
  parentPort?.postMessage(message);
}

/** Virtual time follows real time without catching up on late steps. */
const STEP_SECONDS = 1;

/** Runs a scenario in real time until the thread is terminated. Posts one message when the files exist. */
async function live({ folder, scenario: name, seed, pid }: SimulationData): Promise<void> {
  const make = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
  if (make === undefined) {
    post({ scenarios: Object.keys(SCENARIOS) });
    return;
  }
  const { host, script } = make({ seed, startTime: Math.floor(Date.now() / 1000) });
  host.hasBpf = true;
  // Threads have a CPU only after some time has passed.
  host.step(STEP_SECONDS);
  host.writeTo(folder);
  host.addProcess(pid, 'node');
  await host.serve();
  post('ready');
  setInterval(() => {
    script();
    host.step(STEP_SECONDS);
  }, STEP_SECONDS * 1000);
}

if (parentPort !== null) await live(workerData as SimulationData);
