import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, startExporter } from './daemon.ts';
import { filesOfAScrape } from './files-of-a-scrape.ts';
import { createFloor, type Reading } from './floor.ts';
import { fetchMetrics, seriesIn } from './http.ts';
import { cpuSeconds, type Memory, memory } from './process-cost.ts';
import { watchStalls } from './stall.ts';
import { median } from './statistics.ts';

/**
 * A date that no benchmark reaches: tasks with this schedule do not run, so that only the scrape uses CPU.
 */
const NEVER = '0 0 0 29 2 *';
/** Flags of a daemon that only serves scrapes. */
export const ONLY_SCRAPES = ['--sampler.schedule', NEVER, '--inventory.schedule', NEVER] as const;
const WARM_UP = 6;
/** Garbage collection after a scrape is part of the scrape's cost. */
const SETTLE_MS = 200;
/** The inventory runs every 10 s and the sampler every second: three and thirty runs. */
const IDLE_MS = 30_000;

export interface ScrapeCost {
  readonly cpu: number;
  readonly wall: number;
  readonly bytes: number;
}

/** The cost of one scrape, and the minimum cost of reading its files. */
export interface ScrapeCosts {
  readonly plain: ScrapeCost;
  readonly gzip: ScrapeCost;
  readonly floor: Reading;
  readonly files: number;
  readonly series: number;
  readonly nodeExporter: (ScrapeCost & { readonly series: number }) | undefined;
}

/** Alternate the contenders in each round, so that background load affects all of them. */
export async function measureScrapes(
  rootfs: string,
  scratch: string,
  rounds: number,
  nodeExporter: Daemon | undefined,
): Promise<ScrapeCosts> {
  const daemon = await startExporter(rootfs, ONLY_SCRAPES);
  await warmUp(daemon);
  const files = await filesOfAScrape(daemon, rootfs, scratch);
  const series = seriesIn((await fetchMetrics(daemon.port, false)).text());
  const readFiles = createFloor(files, scratch);

  const plain: ScrapeCost[] = [];
  const gzip: ScrapeCost[] = [];
  const peer: ScrapeCost[] = [];
  const floor: Reading[] = [];
  for (let round = 0; round < rounds; round++) {
    floor.push(readFiles());
    plain.push(await scrape(daemon, false));
    floor.push(readFiles());
    gzip.push(await scrape(daemon, true));
    if (nodeExporter !== undefined) peer.push(await scrape(nodeExporter, false));
  }
  await daemon.stop();
  return {
    plain: medians(plain),
    gzip: medians(gzip),
    floor: { cpu: median(floor.map(({ cpu }) => cpu)), wall: median(floor.map(({ wall }) => wall)) },
    files: files.length,
    series,
    nodeExporter:
      nodeExporter === undefined
        ? undefined
        : { ...medians(peer), series: seriesIn((await fetchMetrics(nodeExporter.port, false)).text()) },
  };
}

export async function warmUp(daemon: Daemon): Promise<void> {
  for (let i = 0; i < WARM_UP; i++) await fetchMetrics(daemon.port, i % 2 === 0);
}

export async function scrape(daemon: Daemon, gzip: boolean): Promise<ScrapeCost> {
  const before = cpuSeconds(daemon.pid);
  const { seconds, bytesOnTheWire } = await fetchMetrics(daemon.port, gzip);
  await sleep(SETTLE_MS);
  return { cpu: cpuSeconds(daemon.pid) - before, wall: seconds, bytes: bytesOnTheWire };
}

export function medians(costs: readonly ScrapeCost[]): ScrapeCost {
  return {
    cpu: median(costs.map(({ cpu }) => cpu)),
    wall: median(costs.map(({ wall }) => wall)),
    bytes: median(costs.map(({ bytes }) => bytes)),
  };
}

/** The load of the installed daemon on its host. */
export interface Footprint {
  /** CPU seconds per second without scrapes: sampler, inventory and the runtime. */
  readonly idle: number;
  /** Duration in seconds of one run of each. */
  readonly sampler: number;
  readonly inventory: number;
  readonly memory: Memory;
  /** The longest response time for a client that sends requests all the time, per scrape. */
  readonly stalls: readonly number[];
  /** The same over as many seconds without a scrape: sampler, inventory and background load. */
  readonly stallWithoutScrape: number;
}

/** @param settleMs before the idle time is measured: V8 compiles for minutes, because most functions run once a second */
export async function measureFootprint(
  rootfs: string,
  rounds: number,
  flags: readonly string[] = [],
  settleMs = 0,
): Promise<Footprint> {
  const daemon = await startExporter(rootfs, flags);
  await warmUp(daemon);
  await sleep(settleMs);
  const before = cpuSeconds(daemon.pid);
  const start = performance.now();
  await sleep(IDLE_MS);
  const idle = (cpuSeconds(daemon.pid) - before) / ((performance.now() - start) / 1000);

  const watch = watchStalls(daemon.port);
  await sleep(500);
  await watch.longest();
  await sleep(rounds * 1000);
  const stallWithoutScrape = await watch.longest();
  const stalls: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await watch.longest();
    await fetchMetrics(daemon.port, round % 2 === 0);
    stalls.push(await watch.longest());
    await sleep(1000);
  }
  await watch.stop();
  const text = (await fetchMetrics(daemon.port, false)).text();
  const usage = memory(daemon.pid);
  await daemon.stop();
  const mean = (name: string): number => sample(text, `${name}_sum`) / sample(text, `${name}_count`);
  return {
    idle,
    sampler: mean('kvm_telemetry_sampler_duration_seconds'),
    inventory: mean('kvm_telemetry_inventory_duration_seconds'),
    memory: usage,
    stalls,
    stallWithoutScrape,
  };
}

function sample(text: string, name: string): number {
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}
