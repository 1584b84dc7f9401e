import type { Evidence, Judgement, UnknownReason } from '../../model/technique.ts';
import { type Estimate, evidenceOf, sideOf } from './estimate.ts';
import type { Measured } from './measured.ts';

/** Without polling an I/O costs about one kick and one interrupt (paper, 2.3.2). Below half of that, most cost none. */
const FEW_PER_IO = 0.5;
const LIMIT = { threshold: FEW_PER_IO, wants: 'below' } as const;

export interface PollingFacts {
  /** Whether a thread on the host polls, or a patch that polls is declared; undefined if unknown. */
  readonly isConfigured: boolean | undefined;
  readonly settings: readonly string[];
  readonly measured: Measured | UnknownReason;
}

/**
 * Exitless polling (4.1): something polls on the host, and most I/Os cost neither a kick nor an interrupt.
 * Partly if only the kicks are gone: the guest still takes an interrupt per I/O.
 */
export function judgePolling({ isConfigured, settings, measured }: PollingFacts): Judgement {
  // Without a poller the kicks say nothing about polling.
  const evidence = isConfigured === false ? [] : pollingEvidence(measured);
  const isSteady = typeof measured !== 'string' && measured.isSteady;
  const about = { configured: isConfigured, settings, evidence, isSteady };
  if (isConfigured === false) return { state: 'off', ...about };
  if (typeof measured === 'string') return { state: 'unknown', reason: measured, ...about };
  const { kicksPerIo, isBusy, mayPollerSleep: isWeak, hidden, areMixed } = measured;
  const kicks = sideOf(kicksPerIo, FEW_PER_IO);
  const interruptsPerIo = knownInterrupts(measured);
  const interrupts = interruptsPerIo === undefined ? 'below' : sideOf(interruptsPerIo, FEW_PER_IO);
  const isNotInForce = isBusy && interrupts === 'above';
  const unknown = (reason: UnknownReason): Judgement => ({
    state: 'unknown',
    reason,
    isNotInForce,
    isWeak,
    ...about,
  });
  if (kicks === 'above') return isBusy ? { state: 'off', isWeak, ...about } : unknown('little_io');
  if (kicks === 'near') return unknown(areMixed ? 'other_devices' : 'near_threshold');
  if (hidden !== undefined) return unknown(hidden);
  if (isConfigured === undefined) return unknown('poller_unknown');
  if (interrupts === 'near') return unknown('near_threshold');
  return { state: interrupts === 'above' ? 'partly' : 'in_force', ...about };
}

/** Many interrupts prove nothing if some may be those of other devices. */
function knownInterrupts({ interruptsPerIo, areInterruptsMixed }: Measured): Estimate | undefined {
  if (interruptsPerIo === undefined) return undefined;
  return areInterruptsMixed && sideOf(interruptsPerIo, FEW_PER_IO) !== 'below' ? undefined : interruptsPerIo;
}

/** The value that is furthest from its threshold comes first. */
function pollingEvidence(measured: Measured | UnknownReason): Evidence[] {
  if (typeof measured === 'string') return [];
  const { kicksPerIo, base } = measured;
  const interruptsPerIo = knownInterrupts(measured);
  const kicks = evidenceOf('kicks_per_io', kicksPerIo, LIMIT, base);
  if (interruptsPerIo === undefined) return [kicks];
  const interrupts = evidenceOf('interrupts_per_io', interruptsPerIo, LIMIT, base);
  return interrupts.value > kicks.value ? [interrupts, kicks] : [kicks, interrupts];
}
