import type { Assessment, Change, Comparing } from './statistics/assessment.ts';

/** A limit on a change: `exits_per_io>+10%`. */
export interface Gate {
  readonly text: string;
  readonly metric: string;
  readonly sign: '>' | '<';
  /** 0.1 is 10% more. */
  readonly threshold: number;
  /** Name of the configuration that is the base; `first` or `previous`. */
  readonly base: 'first' | 'previous';
}

export interface GateVerdict {
  readonly gate: string;
  readonly configuration: string;
  readonly base: string;
  /** `failed`: the change is there. `unknown`: it cannot be said. */
  readonly outcome: 'passed' | 'failed' | 'unknown';
  readonly reason: string;
}

const GATE = /^\s*([a-z][a-z0-9_]*)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%\s*(?:@(first|previous))?\s*$/;

/** @throws Error if the text is no gate */
export function parseGate(text: string): Gate {
  const [, metric, sign, percent, base = 'first'] = GATE.exec(text) ?? [];
  if (metric === undefined || (sign !== '>' && sign !== '<') || (base !== 'first' && base !== 'previous'))
    throw new Error(
      `not a threshold: ${JSON.stringify(text)}: write METRIC>+PERCENT% or METRIC<-PERCENT%, as in 'exits_per_io>+10%'; with @previous it is against the configuration before, else against the first`,
    );
  return { text: text.trim(), metric, sign, threshold: Number(percent) / 100, base };
}

/** One verdict for each gate and each configuration that has a base. */
export function judgeGates(gates: readonly Gate[], { configurations }: Assessment): GateVerdict[] {
  return gates.flatMap((gate) =>
    configurations.flatMap(({ name, againstFirst, againstPrevious }) => {
      const comparing = gate.base === 'first' ? againstFirst : againstPrevious;
      if (comparing === undefined) return [];
      return { gate: gate.text, configuration: name, base: comparing.base, ...judge(gate, comparing) };
    }),
  );
}

/** 1 if a gate failed, 3 if one cannot be judged, else 0. */
export function exitCodeOf(verdicts: readonly GateVerdict[]): 0 | 1 | 3 {
  if (verdicts.some(({ outcome }) => outcome === 'failed')) return 1;
  return verdicts.some(({ outcome }) => outcome === 'unknown') ? 3 : 0;
}

/** A threshold counts only if the whole interval is beyond it. */
function judge(
  { metric, sign, threshold }: Gate,
  { changes }: Comparing,
): Pick<GateVerdict, 'outcome' | 'reason'> {
  const change = changes.get(metric);
  if (change === undefined) return { outcome: 'unknown', reason: `no metric ${JSON.stringify(metric)}` };
  if (change.verdict === 'unknown') return { outcome: 'unknown', reason: change.why ?? 'unknown' };
  if (!change.isComparable) return { outcome: 'unknown', reason: 'the work differs' };
  const [low, high] = boundsOf(change);
  const isBeyond = sign === '>' ? low > threshold : high < threshold;
  const reason =
    change.interval === undefined
      ? `from 0 to ${change.to}`
      : `changed by ${percent(change.gain ?? 0)} (${percent(low)} to ${percent(high)})`;
  return { outcome: isBeyond ? 'failed' : 'passed', reason };
}

/** A rise from 0 is more than any percentage. */
function boundsOf({ interval, verdict }: Change): readonly [number, number] {
  if (interval !== undefined) return interval;
  return verdict === 'same' ? [0, 0] : [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
}

function percent(gain: number): string {
  return `${gain < 0 ? '' : '+'}${(gain * 100).toFixed(1)}%`;
}
