import type { HistBlock } from '../../probes/tracefs-hist.ts';
import type { Isa } from '../model/io-path.ts';
import type { Trigger } from './trigger.ts';

/** The other input of a trigger's text besides its declaration. */
export interface TextOptions {
  /** Replaces `@` in names of synthetic events. */
  readonly syntheticPrefix: string;
  readonly isa: Isa;
  /** Entries of the map. */
  readonly size: number;
  /** Thread ids for the triggers that count VM threads only. */
  readonly followed: readonly number[];
}

export interface TriggerText {
  /** `system/event` */
  readonly event: string;
  /** The line for the event's `trigger` file. */
  readonly line: string;
  /** Fields that the event must have. */
  readonly fields: readonly string[];
}

/**
 * arm64 has two fields for the exit reason. A duration has room for one of them: arch/arm64/kvm/trace_arm.h.
 */
const ARM_REASON = { keys: ['ret', 'esr_ec'], variable: 'esr_ec' };

export function triggerText(trigger: Trigger, options: TextOptions): TriggerText {
  const { syntheticPrefix, isa, size } = options;
  const { value, action } = trigger;
  const keys = keysOf(trigger, isa);
  const variables = trigger.variables?.map((variable) => variableOn(isa, variable)).join(',');
  const parts = [
    `keys=${keys.join(',')}`,
    value && `vals=hitcount,${value}`,
    variables,
    `size=${size}`,
    action?.replace('@', syntheticPrefix),
  ].filter((part) => part !== undefined);
  const filter = filterOf(trigger, options.followed);
  return {
    event: trigger.event.replace('@', syntheticPrefix),
    line: `hist:${parts.join(':')}${filter === undefined ? '' : ` if ${filter}`}`,
    fields: [...keys.map(fieldOf), ...reasonIn(variables ?? '', isa)].filter(
      (key) => !key.startsWith('common_'),
    ),
  };
}

/** The histogram of a trigger among those of its event. No event has two with the same keys. */
export function blockOf(blocks: readonly HistBlock[], trigger: Trigger, isa: Isa): HistBlock | undefined {
  const keys = keysOf(trigger, isa).map(fieldOf).join();
  return blocks.find((block) => block.keys.join() === keys);
}

function filterOf({ filter, perThread }: Trigger, followed: readonly number[]): string | undefined {
  if (perThread === undefined) return filter;
  return followed.map((tid) => perThread.replace('%', String(tid))).join(' || ');
}

function keysOf({ keys }: Trigger, isa: Isa): string[] {
  const reason = isa === 'arm64' ? ARM_REASON.keys : isa === 'other' ? [] : ['exit_reason'];
  return keys.flatMap((key) => (key === 'exit_reason' ? reason : [key]));
}

function variableOn(isa: Isa, variable: string): string {
  return isa === 'arm64' ? variable.replace('=exit_reason', `=${ARM_REASON.variable}`) : variable;
}

/** The field that the kernel would refuse with EINVAL if a variable takes it, and not with its name. */
function reasonIn(variables: string, isa: Isa): string[] {
  return isa === 'other' && variables.includes('=exit_reason') ? ['exit_reason'] : [];
}

/** `gpa` for `gpa.hex` */
function fieldOf(key: string): string {
  return key.replace(/\..*/, '');
}
