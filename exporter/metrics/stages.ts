/** The paper's stages, in order: values of the label `stage`. Each stage includes the stages before it. */
export const STAGES = [
  'original',
  'affinity',
  'exitless_polling',
  'parallel_batching',
  'pinned_queues',
] as const;

export type Stage = (typeof STAGES)[number];

/** The position of a stage in the paper's order; -1 for any other text. */
export function rankOf(stage: string): number {
  const stages: readonly string[] = STAGES;
  return stages.indexOf(stage);
}
