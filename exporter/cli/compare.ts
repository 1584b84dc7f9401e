import { comparisonOf } from '../compare/comparison.ts';
import { assessFleet } from '../compare/fleet/assess.ts';
import { exitCodeOf, type Gate, judgeGates, parseGate } from '../compare/gate.ts';
import type { Comparison } from '../compare/model.ts';
import { fleetQuestionOf, type QuestionFlags, questionOf, questionOnOutputs } from '../compare/question.ts';
import { areSavedOutputs } from '../compare/recording/recordings.ts';
import { savedOutputs } from '../compare/recording/saved-outputs.ts';
import { renderHtml } from '../compare/report/html.ts';
import { renderJson } from '../compare/report/json.ts';
import { renderMarkdown } from '../compare/report/markdown.ts';
import { renderTable, type TableOptions } from '../compare/report/table.ts';
import { compareFleet, compareFrom, type ServerSource } from '../compare/source.ts';
import { assess } from '../compare/statistics/assess.ts';
import type { Assessment } from '../compare/statistics/assessment.ts';
import { isWebAddress } from '../config/addresses.ts';
import { ConfigError } from '../config/load.ts';
import { didYouMean } from '../config/nearest.ts';
import { PrometheusError } from '../prometheus/errors.ts';
import { type OutputFile, outputFile } from './output-file.ts';
import { OutputError, print } from './print.ts';
import { Progress } from './progress.ts';

export interface CompareFlags extends QuestionFlags {
  readonly prometheus?: string;
  readonly recording?: readonly string[];
  readonly 'http.config.file'?: string;
  readonly format: string;
  readonly out?: string;
  readonly failIf?: readonly string[];
  readonly confidence: string;
}

type Render = (assessment: Assessment, isForTerminal: boolean) => string;

const FORMATS: Readonly<Record<string, Render>> = {
  table: (assessment, isForTerminal) => renderTable(assessment, isForTerminal ? terminal() : {}),
  markdown: renderMarkdown,
  json: renderJson,
  html: renderHtml,
};

/** @returns the exit code: 0, 1 if a threshold was exceeded, 3 if that cannot be said. @throws ConfigError */
export async function runCompare(flags: CompareFlags): Promise<number> {
  const gates = (flags.failIf ?? []).map(gateOf);
  const render = formatOf(flags.format);
  const confidence = confidenceOf(flags.confidence);
  const out = flags.out === undefined ? undefined : outputFile('--out', flags.out);
  try {
    const assessment = await assessed(
      flags,
      gates.map(({ metric }) => metric),
      confidence,
    );
    await write(render(assessment, out === undefined && process.stdout.isTTY), out);
    return judged(gates, assessment);
  } catch (error) {
    if (!(error instanceof PrometheusError || error instanceof OutputError)) throw error;
    // Not 1, which means that a threshold was exceeded.
    throw new ConfigError(error.message);
  } finally {
    out?.discard();
  }
}

async function assessed(
  flags: CompareFlags,
  gated: readonly string[],
  confidence: number,
): Promise<Assessment> {
  const question = fleetQuestionOf(flags, Date.now() / 1000, gated);
  if (question === undefined) return assess(await read(flags, gated), { confidence });
  if (flags.recording !== undefined)
    throw new ConfigError('--recording does not go with --by label=: recordings have no recorded series');
  const source = serverOf(flags);
  const progress = new Progress(`compare: reading ${source.url}`);
  try {
    const comparison = await compareFleet(source, question, (share) => progress.report(share));
    return assessFleet(comparison, { confidence });
  } finally {
    progress.end();
  }
}

async function read(flags: CompareFlags, gated: readonly string[]): Promise<Comparison> {
  const { recording = [], vm = '' } = flags;
  const now = Date.now() / 1000;
  if (recording.length > 0 && flags.prometheus !== undefined)
    throw new ConfigError('--recording does not go with --prometheus: give one');
  if (recording.length > 0 && (await areSavedOutputs(recording))) {
    const { archive, times } = await savedOutputs(recording, vm);
    const quiet = { onProgress: () => undefined, warnings: () => [] };
    return comparisonOf(archive, questionOnOutputs(flags, times, gated), quiet);
  }
  const question = questionOf(flags, now, gated);
  const source = recording.length > 0 ? { recordings: recording } : serverOf(flags);
  const progress = new Progress(`compare: reading ${'url' in source ? source.url : recording.join(', ')}`);
  try {
    return await compareFrom(source, question, (share) => progress.report(share));
  } finally {
    progress.end();
  }
}

function serverOf(flags: CompareFlags): ServerSource {
  return { url: urlOf(flags.prometheus), httpConfigFile: flags['http.config.file'] };
}

/** hasColors() knows NO_COLOR. */
function terminal(): TableOptions {
  return { width: process.stdout.columns, isColoured: process.stdout.hasColors() };
}

async function write(text: string, out: OutputFile | undefined): Promise<void> {
  if (out === undefined) await print([text.endsWith('\n') ? text : `${text}\n`]);
  else out.write(text);
}

function judged(gates: readonly Gate[], assessment: Assessment): number {
  const verdicts = judgeGates(gates, assessment);
  for (const { gate, configuration, base, outcome, reason } of verdicts) {
    const result = outcome === 'unknown' ? 'cannot say' : outcome;
    if (outcome !== 'passed')
      process.stderr.write(
        `kvm-telemetry: --fail-if ${gate}: ${result}: ${configuration} against ${base}: ${reason}\n`,
      );
  }
  return exitCodeOf(verdicts);
}

function gateOf(text: string): Gate {
  try {
    return parseGate(text);
  } catch (error) {
    throw new ConfigError(`--fail-if: ${(error as Error).message}`);
  }
}

function urlOf(text: string | undefined): string {
  if (text === undefined)
    throw new ConfigError(
      '--prometheus is missing: give the URL of a Prometheus, such as http://localhost:9090, or --recording with a file',
    );
  if (isWebAddress(text)) return text.replace(/\/+$/, '');
  // The text may contain a password.
  throw new ConfigError(
    '--prometheus: give an http or https URL without a user or a password; the login goes into --http.config.file',
  );
}

function formatOf(name: string): Render {
  const render = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
  if (render !== undefined) return render;
  const names = Object.keys(FORMATS);
  throw new ConfigError(
    `--format: ${JSON.stringify(name)} is not allowed: give ${names.join(', ')}${didYouMean(name, names)}`,
  );
}

function confidenceOf(text: string): number {
  const value = Number(text);
  if (/^0\.\d+$/.test(text) && value >= 0.5 && value < 1) return value;
  throw new ConfigError(
    `--confidence: ${JSON.stringify(text)} is not allowed: give a number from 0.5 to 0.9999`,
  );
}
