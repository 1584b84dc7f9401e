/** Residency of one thread: seconds by last CPU, and how often that CPU changed between samples. */
export interface Residency {
  readonly secondsOn: Map<number, number>;
  /** Seconds on the CPUs beyond the limit. */
  other: number;
  migrations: number;
  cpu: number;
  /** CPUs of the last samples, oldest first. */
  readonly recent: number[];
}

/** Number of samples kept: the window of the migration rate. */
const REMEMBERED = 16;
/** A thread that was moved is on its new CPU in this many of the last samples. */
const LATEST = 3;

export function newResidency(cpu: number): Residency {
  return { secondsOn: new Map([[cpu, 0]]), other: 0, migrations: 0, cpu, recent: [cpu] };
}

/**
 * Credits the time since the last sample to the thread's current CPU. The first `maxCpus` CPUs keep a count
 * of their own for good, so no series falls. The limit keeps a vCPU that roams 256 CPUs from creating 256
 * series.
 */
export function observe(residency: Residency, cpu: number, seconds: number, maxCpus: number): void {
  if (cpu !== residency.cpu) {
    residency.migrations++;
    residency.cpu = cpu;
  }
  const { recent } = residency;
  if (recent.length === REMEMBERED) recent.shift();
  recent.push(cpu);
  const soFar = residency.secondsOn.get(cpu);
  if (soFar !== undefined || residency.secondsOn.size < maxCpus) {
    residency.secondsOn.set(cpu, (soFar ?? 0) + seconds);
  } else {
    residency.other += seconds;
  }
}

/** The CPUs on which the last few samples found the thread. */
export function latestCpus({ recent }: Residency): number[] {
  const cpus: number[] = [];
  for (let i = Math.max(0, recent.length - LATEST); i < recent.length; i++) {
    const cpu = recent[i];
    if (cpu !== undefined && !cpus.includes(cpu)) cpus.push(cpu);
  }
  return cpus;
}

/**
 * Migrations per second between the stored samples, a lower bound; undefined until there are enough samples.
 *
 * @param interval seconds between two samples
 */
export function migrationRate({ recent }: Residency, interval: number): number | undefined {
  if (recent.length < REMEMBERED) return undefined;
  let moves = 0;
  for (let i = 1; i < recent.length; i++) if (recent[i] !== recent[i - 1]) moves++;
  return moves / ((recent.length - 1) * interval);
}
