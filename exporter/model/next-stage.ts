import type { Feature } from './features.ts';
import { STAGE_RULES, type StageRule } from './stage.ts';
import type { VmStage } from './stage-reading.ts';

/** The rule of the next stage; undefined in the last stage. */
export function nextRule({ detected }: VmStage): StageRule | undefined {
  return STAGE_RULES[STAGE_RULES.findIndex(({ stage }) => stage === detected) + 1];
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
