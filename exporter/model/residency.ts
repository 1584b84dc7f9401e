/** Where one thread has been: seconds by last CPU, and how often that CPU changed between samples. */
export interface Residency {
  readonly secondsOn: Map<number, number>;
  /** Seconds on CPUs beyond the cap. */
  other: number;
  migrations: number;
  cpu: number;
}

export function newResidency(cpu: number): Residency {
  return { secondsOn: new Map([[cpu, 0]]), other: 0, migrations: 0, cpu };
}

/**
 * Credits the time since the last sample to the CPU that the thread is on now. The first `maxCpus` CPUs that it visits
 * have a count of their own for good, so no series ever falls: a vCPU that roams 256 CPUs must not make 256 series.
 */
export function observe(residency: Residency, cpu: number, seconds: number, maxCpus: number): void {
  if (cpu !== residency.cpu) {
    residency.migrations++;
    residency.cpu = cpu;
  }
  const soFar = residency.secondsOn.get(cpu);
  if (soFar !== undefined || residency.secondsOn.size < maxCpus) {
    residency.secondsOn.set(cpu, (soFar ?? 0) + seconds);
  } else {
    residency.other += seconds;
  }
}
