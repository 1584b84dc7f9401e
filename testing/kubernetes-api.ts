import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import ts from 'typescript';
import { ROOT } from './daemon.ts';
import type { Manifest } from './helm-chart.ts';
import { has } from './tools.ts';

const FOLDER = `${ROOT}test/kubernetes/`;
/** The packages of test/kubernetes, generated from the OpenAPI of Kubernetes and from the operator's Go types. */
const PACKAGES: Readonly<Record<string, string>> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/monitoring.coreos.com',
};

export function hasKubernetesApi(context: TestContext): boolean {
  const present = existsSync(`${FOLDER}node_modules/kubernetes-models`);
  return has(context, present, 'the API types are missing: npm install --no-save --prefix test/kubernetes');
}

/** Errors that the API would report: values against its schemas, and unknown fields. */
export async function apiErrors(manifests: readonly Manifest[]): Promise<string[]> {
  const refused = await Promise.all(manifests.map(schemaError));
  return [...refused.filter((error) => error !== undefined), ...unknownFields(manifests)];
}

function moduleOf({ apiVersion, kind }: Manifest): string {
  const [group = '', version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
  const path = PACKAGES[group] ?? (group === '' ? 'kubernetes-models' : `kubernetes-models/${group}`);
  return `${path}/${version}/${kind}`;
}

async function schemaError(manifest: Manifest): Promise<string | undefined> {
  const file = new URL(`node_modules/${moduleOf(manifest)}.js`, `file://${FOLDER}`);
  const models = (await import(file.href)) as Record<string, new (data: unknown) => { validate(): void }>;
  const Model = models[manifest.kind];
  if (Model === undefined) return `${manifest.kind}: no schema`;
  try {
    new Model(manifest).validate();
    return undefined;
  } catch (error) {
    return `${manifest.kind} ${manifest.metadata.name}: ${String(error)}`;
  }
}

/** The schemas accept additional fields. TypeScript does not accept them in a literal. */
function unknownFields(manifests: readonly Manifest[]): string[] {
  const name = `${FOLDER}manifests.ts`;
  const text = manifests
    .map(
      (manifest, i) =>
        `import type { I${manifest.kind} as T${i} } from '${moduleOf(manifest)}';\nexport const m${i}: T${i} = ${JSON.stringify(manifest)};\n`,
    )
    .join('');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (file) => file === name || fileExists(file);
  host.getSourceFile = (file, ...more) =>
    file === name ? ts.createSourceFile(file, text, ts.ScriptTarget.ESNext) : getSourceFile(file, ...more);
  const program = ts.createProgram([name], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}
