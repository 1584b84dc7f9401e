import type { Series } from '../prometheus/series.ts';

/** A VM whose series are read. */
export interface Subject {
  readonly key: string;
  readonly vm: string;
  readonly cluster: string;
  readonly job: string;
  readonly instance: string;
}

export function keyOf({ vm = '', cluster = '', job = '', instance = '' }: Series['labels']): string {
  return JSON.stringify([cluster, job, instance, vm]);
}

/** Selects the series of these VMs, and more if several hosts have VMs with the same names: see {@link keyOf}. */
export function ofSubjects(subjects: readonly Subject[]): Readonly<Record<string, readonly string[]>> {
  const all = (label: 'vm' | 'instance'): string[] => [...new Set(subjects.map((subject) => subject[label]))];
  return { vm: all('vm'), instance: all('instance') };
}
