import { printable } from '../probes/printable.ts';
import { ConfigError } from './config/load.ts';
import type { Phases } from './stage/phases.ts';

const MAX_LENGTH = 100;

/** @returns the exit code: 1 where it could not be kept */
export async function setPhase(phases: Phases, vm: string, phase: string): Promise<number> {
  check('VM', vm);
  check('PHASE', phase);
  if (await phases.set(vm, phase, new Date())) return 0;
  process.stderr.write(`kvm-telemetry: the phase was not kept: ${phases.path} cannot be written\n`);
  return 1;
}

export async function clearPhase(phases: Phases, vm: string): Promise<number> {
  const cleared = await phases.clear(vm);
  if (cleared === undefined) {
    const known = phases.all.map((each) => JSON.stringify(each.vm)).join(', ') || 'none';
    throw new ConfigError(`phase clear: ${JSON.stringify(vm)} has no phase: those that have one: ${known}`);
  }
  if (cleared) return 0;
  process.stderr.write(`kvm-telemetry: the phase was not cleared: ${phases.path} cannot be written\n`);
  return 1;
}

export function listPhases(phases: Phases, asJson: boolean): string {
  if (asJson) return `${JSON.stringify(phases.all, undefined, 2)}\n`;
  return phases.all
    .map(({ vm, phase, since }) => `${since}  ${printable(vm)}  ${printable(phase)}\n`)
    .join('');
}

/** @throws ConfigError */
function check(what: string, value: string): void {
  // JSON has room for this key, but what checks the file passes it over.
  const isLost = value === '__proto__';
  if (value.trim() === '' || value.length > MAX_LENGTH || /\p{C}/u.test(value) || isLost) {
    throw new ConfigError(
      `phase set: ${JSON.stringify(value.slice(0, MAX_LENGTH))} is no ${what}: give 1 to ${MAX_LENGTH} printable characters`,
    );
  }
}
