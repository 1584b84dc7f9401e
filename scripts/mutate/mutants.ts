import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type File, Instrumenter } from '@stryker-mutator/instrumenter';
import ts from 'typescript';
import type { Equivalent, Settings } from './settings.ts';

export interface Mutant {
  readonly id: string;
  /** Relative to the project's root: exporter/scrape/scrape.ts. */
  readonly file: string;
  readonly line: number;
  /** The original line, trimmed. */
  readonly source: string;
  readonly mutator: string;
  readonly replacement: string;
  /** Why no test can find it. */
  readonly equivalent: string | undefined;
}

const SILENT = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

/**
 * Compiles the sources with all mutants, each behind a switch, as Stryker does.
 * @param files TypeScript sources, relative to the project's root
 * @param folder becomes a tree of JavaScript files that replaces dist/
 */
export async function instrument(
  root: string,
  files: readonly string[],
  folder: string,
  { equivalents }: Pick<Settings, 'equivalents'>,
): Promise<Mutant[]> {
  const sources = new Map(files.map((file) => [file, readFileSync(root + file, 'utf8')]));
  const inputs: File[] = [...sources].map(([name, content]) => ({ name, content, mutate: true }));
  const options = { plugins: null, excludedMutations: [], ignorers: [], noHeader: false };
  const { files: outputs, mutants } = await new Instrumenter(SILENT).instrument(inputs, options);
  rmSync(folder, { recursive: true, force: true });
  for (const { name, content } of outputs) {
    const path = `${folder}/${name.replace(/\.ts$/, '.js')}`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, compile(content));
  }
  return mutants
    .filter(({ status }) => status !== 'Ignored')
    .map(({ id, fileName, location, mutatorName, replacement }) => {
      const source = (sources.get(fileName) ?? '').split('\n')[location.start.line]?.trim() ?? '';
      const known = equivalents.find((each) => describes(each, { file: fileName, source, replacement }));
      return {
        id,
        file: fileName,
        line: location.start.line + 1,
        source,
        mutator: mutatorName,
        replacement,
        equivalent: known?.reason,
      };
    });
}

function describes(
  { file, line, replacement }: Equivalent,
  mutant: Pick<Mutant, 'file' | 'source' | 'replacement'>,
): boolean {
  return file === mutant.file && line === mutant.source && replacement === mutant.replacement;
}

/** Entries for these files that describe no mutant, because the line has changed. */
export function staleEquivalents(
  mutants: readonly Mutant[],
  files: readonly string[],
  equivalents: readonly Equivalent[],
): Equivalent[] {
  return equivalents.filter(
    (each) => files.includes(each.file) && !mutants.some((mutant) => describes(each, mutant)),
  );
}

function compile(source: string): string {
  return ts.transpileModule(source, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText;
}
