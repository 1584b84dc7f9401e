import type { Stage } from '../exporter/metrics/stages.ts';
import type { Technique, TechniqueState } from '../exporter/metrics/techniques.ts';
import { stageLabel, stageOf, statesOf, techniquesOf } from '../exporter/model/stage.ts';
import type { VmStage } from '../exporter/model/stage-reading.ts';
import { type TechniqueVerdict, type Verdicts, verdictsOf } from '../exporter/model/technique.ts';

export function verdict(technique: Technique, more: Partial<TechniqueVerdict> = {}): TechniqueVerdict {
  return {
    technique,
    state: 'off',
    since: 0,
    was: undefined,
    changes: new Map(),
    configured: undefined,
    settings: [],
    evidence: [],
    ...more,
  };
}

/** The verdicts of a stage of the paper, with other states for some techniques. */
export function verdictsAt(stage: Stage, states: Partial<Record<Technique, TechniqueState>> = {}): Verdicts {
  const inForce = techniquesOf(stage);
  return verdictsOf((technique) =>
    verdict(technique, { state: states[technique] ?? (inForce.includes(technique) ? 'in_force' : 'off') }),
  );
}

/** The reading of a VM at a stage of the paper. */
export function readingAt(stage: Stage, more: Partial<VmStage> = {}): VmStage {
  const { verdicts = verdictsAt(stage) } = more;
  const states = statesOf(verdicts);
  return {
    features: new Map(),
    verdicts,
    detected: stageOf(states),
    label: stageLabel(states),
    declared: undefined,
    phase: undefined,
    contradicted: [],
    stageChanges: 0,
    phaseChanges: 0,
    devices: [],
    ...more,
  };
}
