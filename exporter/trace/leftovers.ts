import { ifThere, isGone, type SourceError, sourceError } from '../../probes/errors.ts';
import type { Host } from '../../probes/host.ts';
import type { TracefsWriter } from './writer.ts';

/** All event systems that any version of this program has traced. */
const SYSTEMS = ['kvm', 'block', 'sched', 'lock', 'synthetic'];
/** A trigger whose variables other triggers use can be removed only after them. */
const PASSES = 4;

/**
 * Removes an instance with its triggers. The kernel keeps an instance that has triggers with variables.
 *
 * @returns the reason if the instance could not be removed
 */
export async function removeInstance(
  host: Host,
  writer: TracefsWriter,
  instance: string,
): Promise<SourceError[]> {
  try {
    for (let pass = 0; pass < PASSES; pass++) {
      if ((await removeTriggers(host, writer, instance)) === 0) break;
    }
    await writer.removeDirectory(instance);
    return [];
  } catch (error) {
    return isGone(error) ? [] : [sourceError(error, instance)];
  }
}

/**
 * Removes synthetic events of our own. synthetic_events is shared with other programs, so each event is
 * removed by its name.
 *
 * @param ofPid whether to remove the events of this process
 * @returns the reasons for events that could not be removed
 */
export async function removeSyntheticEvents(
  host: Host,
  writer: TracefsWriter,
  ofPid: (pid: number) => boolean,
): Promise<SourceError[]> {
  const file = `${host.roots.tracefs}/synthetic_events`;
  const text = ifThere(() => host.text(file)) ?? '';
  const problems: SourceError[] = [];
  for (const [, name = '', pid] of text.matchAll(/^(kvm_telemetry_(\d{1,10})_\w+)/gm)) {
    if (!ofPid(Number(pid))) continue;
    try {
      await writer.append(file, `!${name}`);
    } catch (error) {
      if (!isGone(error)) problems.push(sourceError(error, file));
    }
  }
  return problems;
}

/** @returns number of triggers that others still need */
async function removeTriggers(host: Host, writer: TracefsWriter, instance: string): Promise<number> {
  let left = 0;
  for (const file of triggerFiles(host, instance)) {
    const lines = host.text(file).split('\n');
    for (const line of lines.filter((each) => each.startsWith('hist:')).reverse()) {
      try {
        await writer.append(file, `!${line.replace(/ \[\w+\]$/, '')}`);
      } catch {
        left++;
      }
    }
  }
  return left;
}

function triggerFiles(host: Host, instance: string): string[] {
  return SYSTEMS.flatMap((system) => {
    const events = `${instance}/events/${system}`;
    const names = ifThere(() => host.entries(events)) ?? [];
    return names
      .map((name) => `${events}/${name}/trigger`)
      .filter((file) => ifThere(() => host.text(file))?.includes('hist:') === true);
  });
}
