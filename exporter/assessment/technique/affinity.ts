import type { Drift } from '../../model/drift.ts';
import type { Feature } from '../../model/features.ts';
import type { ObservedThread } from '../../model/observed.ts';
import { SAMPLED_ROLES } from '../../model/roles.ts';
import type { Evidence, Judgement, UnknownReason } from '../../model/technique.ts';

export interface AffinityFacts {
  readonly threads: readonly (Pick<ObservedThread, 'label' | 'role' | 'expectation'> & {
    /** Whether its mask is a pin; undefined if unknown. */
    readonly isPinned: boolean | undefined;
  })[];
  readonly features: ReadonlyMap<Feature, number>;
  readonly drifts: readonly Pick<Drift, 'kind' | 'thread'>[];
}

/** A pinned thread may move among its CPUs: that is no violation of its pin. */
const ALLOWED: ReadonlySet<string> = new Set(['migrating']);

/**
 * Affinity (4.1.2): each vCPU and each I/O thread is pinned where it is expected, to other CPUs than the
 * others, near its memory and its disk. The masks in the kernel are the measurement. A mask with all CPUs of
 * the host is no pin, whatever was learned.
 */
export function judgeAffinity({ threads, features, drifts }: AffinityFacts): Judgement {
  const labels = new Set(threads.map(({ label }) => label));
  const violated = new Set(
    drifts.filter(({ kind, thread }) => labels.has(thread) && !ALLOWED.has(kind)).map(({ thread }) => thread),
  );
  const pins = threads.filter(({ isPinned }) => isPinned === true);
  const right = pins.filter(({ label }) => !violated.has(label)).length;
  const about = {
    configured: configuredOf(threads),
    settings: settingsOf(threads.length, pins.length, violated.size, features),
    evidence: threads.length === 0 ? [] : [share(right / threads.length)],
  };
  const unknown = (reason: UnknownReason): Judgement => ({ state: 'unknown', reason, ...about });
  if (!threads.some(({ role }) => role === 'vcpu')) return unknown('threads_unknown');
  if (pins.length === 0)
    return threads.some(({ isPinned }) => isPinned === undefined)
      ? unknown('cgroup_hidden')
      : { state: 'off', ...about };
  const isWhole = right === threads.length;
  const isApart = features.get('io_separate_from_vcpus') !== 0 && features.get('numa_local') !== 0;
  return { state: isWhole && isApart ? 'in_force' : 'partly', ...about };
}

function share(value: number): Evidence {
  const base = { error: 0, seconds: undefined, ios: undefined };
  return { name: 'pinned_threads', value, threshold: 1, wants: 'at_least', ...base };
}

/** Whether pins are wanted: by the configuration, by libvirt, or because pins were learned. */
function configuredOf(threads: AffinityFacts['threads']): boolean {
  return threads.some(
    ({ expectation, isPinned }) =>
      expectation?.source === 'config' ||
      expectation?.source === 'libvirt' ||
      (expectation?.source === 'baseline' && isPinned === true),
  );
}

function settingsOf(
  threads: number,
  pinned: number,
  violated: number,
  features: ReadonlyMap<Feature, number>,
): string[] {
  return [
    `${pinned} of ${threads} threads pinned`,
    ...(violated > 0 ? [`${violated} not where expected`] : []),
    ...(features.get('io_separate_from_vcpus') === 0 ? ['I/O threads share CPUs with vCPUs'] : []),
    ...(features.get('numa_local') === 0 ? ['memory or disk on another node'] : []),
  ];
}

/** vCPUs and I/O threads; in a VM without I/O threads the emulator does the I/O. */
export function pinnable<T extends Pick<ObservedThread, 'role'>>(threads: readonly T[]): T[] {
  const path = threads.filter(({ role }) => SAMPLED_ROLES.has(role));
  const hasIo = path.some(({ role }) => role !== 'vcpu');
  return hasIo ? path : threads.filter(({ role }) => role === 'vcpu' || role === 'emulator');
}
