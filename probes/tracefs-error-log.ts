import { malformed } from './errors.ts';
import type { Host } from './host.ts';

const FORMAT = '/sys/kernel/tracing/instances/<name>/error_log';
const ENTRY_START = /^\[ {0,5}\d{1,20}\.\d{6}\] /gm;
const COMMAND = '\n  Command: ';
const CARET = /\n( *)\^\n?$/;
const MAX_LENGTH = 300;

/**
 * Parses the newest entry of a trace instance's `error_log`, kernel/trace/trace.c tracing_err_log_seq_show(),
 * into one line; undefined if the log is empty.
 *
 * The kernel marks the error's position with a caret. Column 0 means that the position is unknown. Before
 * 5.17 the column is truncated to 8 bits.
 *
 * @throws SourceError malformed
 * @example lastTraceError("[  117.404795] hist:sched:sched_switch: error: Couldn't find field\n" +
 *   '  Command: hist:keys=x\n                     ^\n')
 *   // hist:sched:sched_switch: error: Couldn't find field at "x"; Command: hist:keys=x
 */
export function lastTraceError(text: string): string | undefined {
  if (text === '') return undefined;
  let entry: string | undefined;
  for (const { 0: stamp, index } of text.matchAll(ENTRY_START)) entry = text.slice(index + stamp.length);
  if (entry === undefined) throw malformed(FORMAT, text);
  const caret = CARET.exec(entry);
  const body = caret === null ? entry.trimEnd() : entry.slice(0, caret.index);
  const commandAt = body.indexOf(COMMAND);
  if (commandAt < 0) return oneLine(body);
  const command = body.slice(commandAt + COMMAND.length);
  const column = (caret?.[1]?.length ?? 0) - COMMAND.length + 1;
  const word = column > 0 && command.length <= 0xff ? /^[\w$.]+/.exec(command.slice(column))?.[0] : undefined;
  const where = word === undefined ? '' : ` at "${word}"`;
  return oneLine(`${body.slice(0, commandAt)}${where}; Command: ${command}`);
}

/** Escapes C0, DEL and C1, which a terminal would interpret. */
function oneLine(text: string): string {
  const escaped = text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\0-\x1f\x7f-\x9f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return escaped.length > MAX_LENGTH ? `${escaped.slice(0, MAX_LENGTH - 3)}...` : escaped;
}

/** @param instance directory of the instance */
export function readTraceErrorLog(host: Host, instance: string): string | undefined {
  return lastTraceError(host.text(`${instance}/error_log`));
}
