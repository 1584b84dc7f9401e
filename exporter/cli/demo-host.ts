import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { SimulationData, SimulationMessage } from '../../lab/simhost/worker.ts';
import { SourceError } from '../../probes/errors.ts';
import { inTime } from '../../probes/in-time.ts';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { memoryFolder } from './memory-folder.ts';

const READY_MS = 20_000;

export interface DemoHost {
  /** Value for `--path.rootfs`. */
  readonly rootfs: string;
  stop(): Promise<void>;
}

/**
 * Starts a simulated KVM host in a worker thread, in real time. Six VMs go through the paper's stages. Each
 * round has a storm, a drift and a stall.
 *
 * @throws ConfigError if the scenario does not exist or the simulated host is not installed
 */
export async function startDemoHost(scenario: string): Promise<DemoHost> {
  const worker = fileURLToPath(new URL('../../lab/simhost/worker.js', import.meta.url));
  if (!existsSync(worker)) {
    throw new ConfigError(`demo: ${worker} is missing: install the simulated host (lab/simhost) as well`);
  }
  const folder = memoryFolder('kvm-telemetry-demo-');
  const workerData: SimulationData = { folder: folder.path, scenario, seed: 1, pid: process.pid };
  const simulation = new Worker(worker, { workerData });
  const stop = async (): Promise<void> => {
    await simulation.terminate();
    folder.remove();
  };
  try {
    const late = (): SourceError =>
      new SourceError('timeout', scenario, `the simulated host did not start in ${READY_MS} ms`);
    const message = await inTime(started(simulation), READY_MS, late);
    if (message !== 'ready') throw new Error(noScenario(scenario, message.scenarios));
  } catch (error) {
    await stop();
    throw new ConfigError(`demo: ${(error as Error).message}`);
  }
  // A simulation that exits is a bug in this project. Do not let it pass for an idle host.
  simulation.on('error', (error) => {
    throw error;
  });
  return { rootfs: folder.path, stop };
}

/** Resolves with the first message. Rejects if the thread throws or exits before that. */
async function started(simulation: Worker): Promise<SimulationMessage> {
  const exit = once(simulation, 'exit').then(([code]) => {
    throw new Error(`the simulated host exited with code ${code}`);
  });
  exit.catch(() => undefined);
  const first = once(simulation, 'message').then(([message]) => message as SimulationMessage);
  return Promise.race([first, exit]);
}

/** Names the nearest scenario, else all. */
function noScenario(name: string, scenarios: readonly string[]): string {
  const nearest = didYouMean(name, scenarios);
  return `no scenario ${JSON.stringify(name)}${nearest === '' ? `: use one of ${scenarios.join(', ')}` : nearest}`;
}
