import type { Feature } from './features.ts';
import { STAGE_RULES, type StageRule } from './stage.ts';
import type { VmStage } from './stage-reading.ts';

/** The rule of the first technique that is not in force; undefined if all are. */
export function nextRule({ verdicts }: Pick<VmStage, 'verdicts'>): StageRule | undefined {
  return STAGE_RULES.find(({ stage }) => verdicts[stage].state !== 'in_force');
}

/** The features of a stage that a VM does not have. Of alternatives, the first. */
export function missingFor(rule: StageRule, features: ReadonlyMap<Feature, number>): Feature[] {
  const isOn = (feature: Feature): boolean => features.get(feature) === 1;
  return [
    ...rule.all.filter((feature) => !isOn(feature)),
    ...(rule.any.some(isOn) ? [] : rule.any.slice(0, 1)),
    ...rule.unless.filter((feature) => features.get(feature) === 0),
  ];
}
