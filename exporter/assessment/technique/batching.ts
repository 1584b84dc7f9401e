import type { Evidence, Judgement, UnknownReason } from '../../model/technique.ts';
import { type Estimate, evidenceOf, sideOf } from './estimate.ts';
import type { Measured } from './measured.ts';
import type { PollingFacts } from './polling.ts';
import { usedQueues } from './queues.ts';

/** I/Os that share a kick: two or more are a batch. */
const BATCH = 2;
const LEAST_QUEUES = 2;

export interface BatchingFacts extends PollingFacts {
  /** Whether several queues of a disk are served by threads of their own; undefined if unknown. */
  readonly isParallel: boolean | undefined;
  readonly queueSettings: readonly string[];
}

/**
 * Parallel batching (4.1.1): several I/Os share a kick. Under a poller a guest hardly kicks, whether it
 * batches or not. Then batching needs several queues in use, with threads of their own.
 */
export function judgeBatching(facts: BatchingFacts): Judgement {
  const { measured, isConfigured: polls, isParallel, queueSettings: settings } = facts;
  const isSteady = typeof measured !== 'string' && measured.isSteady;
  const about = { configured: isParallel, settings, evidence: batchingEvidence(measured), isSteady };
  const unknown = (reason: UnknownReason): Judgement => ({ state: 'unknown', reason, ...about });
  if (polls === true && isParallel === false && typeof measured === 'string')
    return { state: 'off', ...about };
  if (typeof measured === 'string') return unknown(measured);
  const { isBusy, mayPollerSleep, hidden, areMixed } = measured;
  const side = sideOf(iosPerKick(measured), BATCH);
  if (side === 'near') return unknown(areMixed ? 'other_devices' : 'near_threshold');
  if (side === 'below') {
    const isWeak = !isBusy || mayPollerSleep;
    if (isBusy || isParallel === false) return { state: 'off', isWeak, ...about };
    return unknown('little_io');
  }
  if (hidden !== undefined) return unknown(hidden);
  if (polls === undefined) return unknown('poller_unknown');
  if (!polls) return { state: 'in_force', ...about };
  if (isParallel === undefined) return unknown('queues_unknown');
  if (!isParallel) return { state: 'off', isCredited: true, ...about };
  const used = usedQueues(measured.queues ?? []);
  return { state: measured.queues !== undefined && used < LEAST_QUEUES ? 'partly' : 'in_force', ...about };
}

/** Without a kick there are at least as many I/Os per kick as there were I/Os. */
function iosPerKick({ kicksPerIo, base: { ios = 0 } }: Measured): Estimate {
  const of = (each: number): number => (each * ios < 1 ? ios : 1 / each);
  return { value: of(kicksPerIo.value), low: of(kicksPerIo.high), high: of(kicksPerIo.low) };
}

function batchingEvidence(measured: Measured | UnknownReason): Evidence[] {
  if (typeof measured === 'string') return [];
  const { base, queues } = measured;
  const limit = { threshold: BATCH, wants: 'at_least' } as const;
  const used = { threshold: LEAST_QUEUES, wants: 'at_least', error: 0, ...base } as const;
  return [
    evidenceOf('ios_per_kick', iosPerKick(measured), limit, base),
    ...(queues === undefined ? [] : [{ name: 'used_queues' as const, value: usedQueues(queues), ...used }]),
  ];
}
