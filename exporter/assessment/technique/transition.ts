import type { TechniqueState } from '../../metrics/techniques.ts';
import type { Evidence, Judgement } from '../../model/technique.ts';
import { BUSY } from './measured.ts';

/** Rates within this factor are equal, because counts are read at slightly different times. */
const SAME_RATE = 0.9;

/** The state of one technique of one VM, as it is kept over restarts of the daemon. */
export interface TechniqueRecord {
  readonly state: TechniqueState;
  /** Milliseconds of the epoch. */
  readonly since: number;
  /** The number that decided when it was last in force; undefined if it never was. */
  readonly was: Evidence | undefined;
  /** The fewest I/Os a second of a steady minute in which it was in force on a busy disk; undefined if there was none. */
  readonly inForceFrom: number | undefined;
  readonly changes: ReadonlyMap<string, number>;
}

export interface Tracked {
  readonly record: TechniqueRecord;
  /** A state that was judged once. The next judgement must agree. */
  readonly candidate: { readonly state: TechniqueState; readonly at: number } | undefined;
  /**
   * Time of the last judgement other than unknown, in milliseconds of the epoch; undefined: none since the exporter
   * started.
   */
  readonly judgedAt: number | undefined;
}

export function untracked(at: number): Tracked {
  return {
    record: { state: 'unknown', since: at, was: undefined, inForceFrom: undefined, changes: new Map() },
    candidate: undefined,
    judgedAt: undefined,
  };
}

/**
 * The state after a judgement. A change needs two judgements in a row, so that a single period with a gap in it
 * changes nothing. An unknown judgement changes nothing either. A loss that the operator accepted ends at once.
 *
 * @param at milliseconds of the epoch
 * @param acceptedAt when the operator accepted what was lost until then, in milliseconds of the epoch
 */
export function next(
  { record, candidate, judgedAt }: Tracked,
  judgement: Judgement,
  at: number,
  acceptedAt = Number.NEGATIVE_INFINITY,
): Tracked {
  const isAccepted = record.state === 'lost' && record.since <= acceptedAt;
  const judged = isAccepted ? judgement.state : stateAfter(record, judgement);
  if (judged === undefined) return { record, candidate: undefined, judgedAt };
  const isInForce = judged === 'in_force';
  const was = isInForce ? (judgement.evidence[0] ?? record.was) : record.was;
  const inForceFrom = isInForce ? lower(record.inForceFrom, judgement) : record.inForceFrom;
  if (judged === record.state)
    return { record: { ...record, was, inForceFrom }, candidate: undefined, judgedAt: at };
  const isConfirmed =
    isAccepted || candidate?.state === judged || (record.state === 'unknown' && isReadAtOnce(judgement));
  if (!isConfirmed) return { record, candidate: { state: judged, at }, judgedAt: at };
  const change = `${record.state} ${judged}`;
  return {
    record: {
      state: judged,
      since: candidate?.state === judged ? candidate.at : at,
      was,
      inForceFrom,
      changes: new Map([...record.changes, [change, (record.changes.get(change) ?? 0) + 1]]),
    },
    candidate: undefined,
    judgedAt: at,
  };
}

/** @returns undefined if the judgement is unknown */
function stateAfter(
  { state: before, inForceFrom = Number.POSITIVE_INFINITY }: TechniqueRecord,
  judgement: Judgement,
): TechniqueState | undefined {
  const { state, isNotInForce, isCredited } = judgement;
  // Little I/O does not excuse a technique at a rate at which it was in force before.
  const isWeak = judgement.isWeak === true && rateOf(judgement) < inForceFrom * SAME_RATE;
  if (state === 'unknown') {
    const isLost = isNotInForce === true && !isWeak && (before === 'in_force' || before === 'lost');
    return isLost ? 'lost' : undefined;
  }
  if (isWeak && before !== 'off' && before !== 'unknown') return undefined;
  if (isCredited === true && before === 'in_force') return 'off';
  return state !== 'in_force' && (before === 'in_force' || before === 'lost') ? 'lost' : state;
}

/** Masks and settings are present facts. Counts over a period may include the time before the change. */
function isReadAtOnce({ evidence }: Judgement): boolean {
  return evidence.every(({ seconds }) => seconds === undefined);
}

/** I/Os a second of the number that decided; 0 if it counted none. */
function rateOf({ evidence: [first] }: Judgement): number {
  return first?.ios === undefined || first.seconds === undefined ? 0 : first.ios / first.seconds;
}

function lower(before: number | undefined, judgement: Judgement): number | undefined {
  const rate = rateOf(judgement);
  const isLower = before === undefined || rate < before * SAME_RATE;
  return judgement.isSteady === true && rate >= BUSY && isLower ? rate : before;
}
