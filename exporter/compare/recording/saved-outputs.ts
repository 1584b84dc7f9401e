import { ConfigError } from '../../config/load.ts';
import { didYouMean } from '../../config/nearest.ts';
import { matchesGlob } from '../../model/glob.ts';
import type { GivenTimes } from '../comparison.ts';
import { MemoryArchive } from '../memory-archive.ts';
import type { Span } from '../model.ts';
import { someNames } from '../names.ts';
import { Kept } from './kept.ts';
import { beginOf, type Output, readOutput, startOf, vmsOf } from './saved-output.ts';

const EVER: Span = { start: 0, end: Number.POSITIVE_INFINITY };
const HOST = 'saved output';

export interface Saved {
  readonly archive: MemoryArchive;
  readonly times: GivenTimes;
}

/**
 * Two to four saved outputs of /metrics. With four, the first two are from before the change and the last two from
 * after it. With three, the second is the end of the first configuration and the begin of the other. With two, the
 * counters of the first begin with the VM.
 *
 * @param vm pattern of the VMs
 * @throws ConfigError
 */
export async function savedOutputs(paths: readonly string[], vm: string): Promise<Saved> {
  const given: Output[] = [];
  for (const path of paths) given.push(await readOutput(path));
  checkOrder(given);
  const [a, b, c, d] = given.length === 2 ? withBegin(given, vm) : given;
  if (a === undefined || b === undefined || c === undefined || given.length > 4)
    throw new ConfigError(
      `--recording: ${count(given.length)}: give those of the beginning and the end of each configuration, which are two to four files`,
    );
  const kept = new Kept(vm, EVER);
  const begin = given.length === 2 ? restarted(c, b, vm) : undefined;
  for (const output of [a, b, ...(begin === undefined ? [] : [begin]), c, ...(d === undefined ? [] : [d])])
    addAll(kept, output);
  const after = d === undefined ? { start: b.at, end: c.at } : { start: c.at, end: d.at };
  return {
    archive: new MemoryArchive(paths.join(', '), kept.series),
    times: [
      { name: 'before', span: { start: a.at, end: b.at } },
      { name: 'after', span: after },
    ],
  };
}

function checkOrder(outputs: readonly Output[]): void {
  for (const [i, { at, name }] of outputs.entries()) {
    const before = outputs[i - 1];
    if (before !== undefined && at <= before.at)
      throw new ConfigError(
        `--recording: ${name} is not newer than ${before.name}: give the files in the order in which they were saved, and copy files with cp -p`,
      );
  }
}

/** Two outputs, and before them the start of the only VM. */
function withBegin(outputs: readonly Output[], pattern: string): readonly Output[] {
  const [first] = outputs;
  if (first === undefined) return outputs;
  const vm = vmIn(first, pattern);
  if (vm !== undefined) return [beginOf(first, vm), ...outputs];
  const names = vmsOf(first);
  throw new ConfigError(
    `--vm: no VM ${JSON.stringify(pattern)} in ${first.name}${didYouMean(pattern, names) || `: there are ${someNames(names)}`}`,
  );
}

/** The start of the VM, if it started between two outputs. */
function restarted(output: Output, before: Output, pattern: string): Output | undefined {
  const vm = vmIn(output, pattern);
  if (vm === undefined) return undefined;
  const isSame = (startOf(output, vm) ?? 0) < before.at;
  return isSame ? undefined : beginOf(output, vm);
}

/** @throws ConfigError if several VMs match; each began at its own time */
function vmIn(output: Output, pattern: string): string | undefined {
  const found = vmsOf(output).filter((vm) => matchesGlob(pattern, vm));
  if (found.length > 1)
    throw new ConfigError(
      `--vm: ${JSON.stringify(pattern)} matches ${found.length} VMs in ${output.name}: with two saved outputs give the name of one VM`,
    );
  return found[0];
}

function addAll(kept: Kept, { at, values }: Output): void {
  for (const [text, value] of values) {
    const series = kept.seriesOf(text, HOST);
    if (series !== undefined) kept.add(series, at, value);
  }
}

function count(files: number): string {
  return files === 1 ? 'one saved output' : `${files} saved outputs`;
}
