import { localityOf } from '../../model/locality.ts';
import type { Judgement, UnknownReason } from '../../model/technique.ts';
import type { KickCount } from '../../model/vm-trace.ts';
import { evidenceOf, shareOf, sideOf } from './estimate.ts';
import type { Measured } from './measured.ts';

/** Round robin over n queues gives 1/n. Pinned queues stay a little below 1, as the guest's threads migrate. */
const LOCAL = 0.8;
/** With fewer kicks the share means nothing. */
const MIN_KICKS = 100;
/** A queue or vCPU with a smaller share of the kicks is not in use. */
const IN_USE = 0.01;

export interface QueueFacts {
  readonly vcpus: number;
  /** Whether a disk has a queue per vCPU; undefined if unknown. */
  readonly hasQueuePerVcpu: boolean | undefined;
  readonly settings: readonly string[];
  readonly measured: Measured | UnknownReason;
}

/** Queue pinning (5): each vCPU has a queue of its own, and uses no other. */
export function judgeQueues({ vcpus, hasQueuePerVcpu, settings, measured }: QueueFacts): Judgement {
  const kicks = typeof measured === 'string' ? undefined : measured.queues;
  const total = (kicks ?? []).reduce((sum, { count }) => sum + count, 0);
  const weight = typeof measured === 'string' ? 1 : measured.weight;
  const base = typeof measured === 'string' ? { seconds: undefined, ios: undefined } : measured.base;
  const { share } = localityOf(
    (kicks ?? []).map(({ address, thread, count }) => ({ queue: String(address), vcpu: thread, count })),
  );
  const locality = share === undefined ? undefined : shareOf(share * total, total, weight);
  const limit = { threshold: LOCAL, wants: 'at_least' } as const;
  const evidence = locality === undefined ? [] : [evidenceOf('queue_locality', locality, limit, base)];
  const about = { configured: hasQueuePerVcpu, settings, evidence };
  const unknown = (reason: UnknownReason): Judgement => ({ state: 'unknown', reason, ...about });
  if (hasQueuePerVcpu === false || vcpus === 1) return { state: 'off', ...about };
  if (typeof measured === 'string') return unknown(measured);
  if (kicks === undefined) return unknown(measured.withoutQueues);
  if (locality === undefined || total < MIN_KICKS * weight) return unknown('idle');
  const side = sideOf(locality, LOCAL);
  if (side === 'near') return unknown('near_threshold');
  if (side === 'below') return { state: 'off', ...about };
  const active = inUse(kicks, ({ thread }) => thread);
  if (active < 2) return unknown('one_vcpu');
  if (hasQueuePerVcpu === undefined && usedQueues(kicks) < active) return unknown('queues_unknown');
  return { state: 'in_force', ...about };
}

export function usedQueues(kicks: readonly KickCount[]): number {
  return inUse(kicks, ({ address }) => String(address));
}

function inUse(kicks: readonly KickCount[], of: (kick: KickCount) => string): number {
  const counts = new Map<string, number>();
  for (const kick of kicks) counts.set(of(kick), (counts.get(of(kick)) ?? 0) + kick.count);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts.values()].filter((count) => count > 0 && count >= IN_USE * total).length;
}
