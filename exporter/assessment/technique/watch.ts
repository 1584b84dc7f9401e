import { MSEC_PER_SEC } from '../../../kernel/units.ts';
import type { Technique, TechniqueState } from '../../metrics/techniques.ts';
import { type Judgement, type TechniqueVerdict, type Verdicts, verdictsOf } from '../../model/technique.ts';
import type { Vm } from '../../model/vm.ts';
import type { TechniqueRecords } from './records.ts';
import { next, type Tracked, untracked } from './transition.ts';

export interface TechniqueDependencies {
  readonly records: TechniqueRecords;
  /** Milliseconds of the epoch. */
  epochMs(): number;
  /** When the operator accepted what the VM had lost until then, in milliseconds of the epoch; undefined if never. */
  acceptedAt(vm: Vm): number | undefined;
  onChange(vm: Vm, verdict: TechniqueVerdict, from: TechniqueState): void;
}

/** Turns the judgements of each round into lasting states. */
export class TechniqueWatch {
  #tracked: ReadonlyMap<string, ReadonlyMap<Technique, Tracked>> = new Map();
  #round = new Map<string, ReadonlyMap<Technique, Tracked>>();

  constructor(private readonly dependencies: TechniqueDependencies) {}

  judge(vm: Vm, judgements: Readonly<Record<Technique, Judgement>>): Verdicts {
    const { records, epochMs, acceptedAt, onChange } = this.dependencies;
    const at = epochMs();
    const now = new Map<Technique, Tracked>();
    const verdicts = verdictsOf((technique) => {
      const kept = records.of(vm.key, technique);
      const before =
        this.#tracked.get(vm.key)?.get(technique) ??
        (kept === undefined ? untracked(at) : { record: kept, candidate: undefined, judgedAt: undefined });
      const judgement = judgements[technique];
      const after = next(before, judgement, at, acceptedAt(vm));
      now.set(technique, after);
      records.set(vm.key, technique, after.record);
      const verdict = verdictOf(technique, after, judgement, at);
      if (after.record.state !== before.record.state) onChange(vm, verdict, before.record.state);
      return verdict;
    });
    this.#round.set(vm.key, now);
    return verdicts;
  }

  /** Ends a round. VMs that were not judged in it are forgotten. */
  async endRound(alive: ReadonlySet<string>): Promise<void> {
    this.#tracked = this.#round;
    this.#round = new Map();
    await this.dependencies.records.keep(alive);
  }
}

function verdictOf(
  technique: Technique,
  { record, judgedAt }: Tracked,
  judgement: Judgement,
  at: number,
): TechniqueVerdict {
  const { configured, settings, evidence, reason } = judgement;
  const about = { technique, ...record, configured, settings, evidence };
  if (record.state === 'unknown') return { ...about, reason: reason ?? 'starting' };
  if (judgedAt === at) return about;
  const seconds = judgedAt === undefined ? undefined : (at - judgedAt) / MSEC_PER_SEC;
  return { ...about, unjudged: { seconds, reason: reason ?? 'little_io' } };
}
