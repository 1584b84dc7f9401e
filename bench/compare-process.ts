import { spawn } from 'node:child_process';
import { ROOT } from '../testing/daemon.ts';
import { cpuSeconds, memory } from './process-cost.ts';

const EVERY_MS = 50;

/** Runs `compare` in a process of its own. @returns its cost, as text */
export async function measureCompare(args: readonly string[]): Promise<{ code: number; text: string }> {
  const begin = performance.now();
  const child = spawn(process.execPath, [`${ROOT}dist/exporter/main.js`, 'compare', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let [cpu, peak, report] = [0, 0, 0];
  child.stdout.on('data', (chunk: Buffer) => {
    report += chunk.length;
  });
  const watch = setInterval(() => {
    try {
      cpu = cpuSeconds(child.pid ?? 0);
      // A process that ended has no memory.
      peak = memory(child.pid ?? 0).peakMiB || peak;
    } catch {
      // It has just ended.
    }
  }, EVERY_MS);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(watch);
  const wall = (performance.now() - begin) / 1000;
  const text = `exit ${code}, ${wall.toFixed(1)} s, ${cpu.toFixed(1)} s of CPU time, ${peak.toFixed(0)} MiB at the peak, report of ${(report / 1e3).toFixed(0)} kB`;
  return { code: code ?? 1, text };
}
