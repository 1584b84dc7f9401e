import type { HistMap } from './hist-map.ts';
import { Refusal } from './refusal.ts';
import type { HistTrigger } from './trigger.ts';

/** The names that the triggers of an instance can refer to. */
export interface Surroundings {
  fieldsOf(event: string): ReadonlySet<string>;
  /** Fields of a synthetic event; undefined if it is not defined. */
  syntheticFields(name: string): readonly string[] | undefined;
  mapsOf(event: string): readonly HistMap[];
}

/** TRACING_MAP_BITS_MIN and _MAX: kernel/trace/tracing_map.h */
const [MIN_SIZE, MAX_SIZE] = [2 ** 7, 2 ** 17];

/**
 * Refuses a new trigger that the kernel would refuse: kernel/trace/trace_events_hist.c. Covers the forms of
 * triggers that the exporter uses.
 *
 * @throws Refusal
 */
export function checkTrigger(event: string, trigger: HistTrigger, around: Surroundings): void {
  const fields = around.fieldsOf(event);
  const isField = (name: string): boolean => fields.has(name) || name === 'common_timestamp';
  if (trigger.size < MIN_SIZE || trigger.size > MAX_SIZE) refuse('Invalid map size');
  for (const name of [...trigger.keys.map(({ field }) => field), ...trigger.sums])
    if (!isField(name)) refuse("Couldn't find field");
  for (const [name] of trigger.filterText.matchAll(/[a-z_]\w*/g))
    if (!isField(name)) refuse('Field not found');
  const own = around.mapsOf(event).flatMap((map) => variablesOf(map.trigger));
  for (const [name, expression] of trigger.variables) {
    if (own.includes(name)) refuse('Variable already defined');
    for (const term of expression.split('-'))
      if (!term.startsWith('$') && !isField(term)) refuse("Couldn't find field");
  }
  checkMatch(trigger, around);
}

function checkMatch(trigger: HistTrigger, around: Surroundings): void {
  const { match } = trigger;
  const theirs =
    match === undefined ? [] : around.mapsOf(match.event).flatMap((map) => variablesOf(map.trigger));
  if (usedVariables(trigger).some((name) => !theirs.includes(name))) refuse("Couldn't find variable");
  if (match === undefined) return;
  const fields = around.syntheticFields(match.synthetic);
  if (fields === undefined) refuse("Couldn't find synthetic event");
  if (fields?.length !== match.parameters.length)
    refuse("Param count doesn't match synthetic event field count");
}

/** Variables of another trigger that this one uses. */
export function usedVariables({ variables, match }: HistTrigger): string[] {
  const own = variables.map(([name]) => name);
  const inExpressions = variables.flatMap(([, expression]) =>
    [...expression.matchAll(/\$(\w+)/g)].map(([, name = '']) => name),
  );
  return [...inExpressions, ...(match?.parameters ?? []).filter((name) => !own.includes(name))];
}

function variablesOf({ variables }: HistTrigger): string[] {
  return variables.map(([name]) => name);
}

function refuse(reason: string): never {
  throw new Refusal('EINVAL', reason);
}
