import type { TechniqueState } from '../../metrics/techniques.ts';
import type { Evidence, Judgement } from '../../model/technique.ts';

/** The state of one technique of one VM, as it is kept over restarts of the daemon. */
export interface TechniqueRecord {
  readonly state: TechniqueState;
  /** Milliseconds of the epoch. */
  readonly since: number;
  /** The number that decided when it was last in force; undefined if it never was. */
  readonly was: Evidence | undefined;
  readonly changes: ReadonlyMap<string, number>;
}

export interface Tracked {
  readonly record: TechniqueRecord;
  /** A state that was judged once. The next judgement must agree. */
  readonly candidate: { readonly state: TechniqueState; readonly at: number } | undefined;
}

export function untracked(at: number): Tracked {
  return {
    record: { state: 'unknown', since: at, was: undefined, changes: new Map() },
    candidate: undefined,
  };
}

/**
 * The state after a judgement. A change needs two judgements in a row, so that a single period with a gap in
 * it changes nothing. What cannot be judged changes nothing either. A loss that the operator accepted ends at once.
 *
 * @param at milliseconds of the epoch
 * @param acceptedAt when the operator accepted what was lost until then, in milliseconds of the epoch
 */
export function next(
  { record, candidate }: Tracked,
  judgement: Judgement,
  at: number,
  acceptedAt = Number.NEGATIVE_INFINITY,
): Tracked {
  const isAccepted = record.state === 'lost' && record.since <= acceptedAt;
  const judged = isAccepted ? judgement.state : stateAfter(record, judgement);
  if (judged === undefined) return { record, candidate: undefined };
  const was = judged === 'in_force' ? (judgement.evidence[0] ?? record.was) : record.was;
  if (judged === record.state) return { record: { ...record, was }, candidate: undefined };
  const isConfirmed =
    isAccepted || candidate?.state === judged || (record.state === 'unknown' && isReadAtOnce(judgement));
  if (!isConfirmed) return { record, candidate: { state: judged, at } };
  const change = `${record.state} ${judged}`;
  return {
    record: {
      state: judged,
      since: candidate?.state === judged ? candidate.at : at,
      was,
      changes: new Map([...record.changes, [change, (record.changes.get(change) ?? 0) + 1]]),
    },
    candidate: undefined,
  };
}

/** @returns undefined if the judgement says nothing */
function stateAfter(
  { state: before }: TechniqueRecord,
  { state, isNotInForce, isWeak, isCredited }: Judgement,
): TechniqueState | undefined {
  if (state === 'unknown')
    return isNotInForce === true && (before === 'in_force' || before === 'lost') ? 'lost' : undefined;
  if (isWeak === true && before !== 'off' && before !== 'unknown') return undefined;
  if (isCredited === true && before === 'in_force') return 'off';
  return state !== 'in_force' && (before === 'in_force' || before === 'lost') ? 'lost' : state;
}

/** Masks and settings are facts at once; what was counted over a time may include what was before. */
function isReadAtOnce({ evidence }: Judgement): boolean {
  return evidence.every(({ seconds }) => seconds === undefined);
}
