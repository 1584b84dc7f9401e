import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { ROOT } from './daemon.ts';
import { temporaryFolder } from './folder.ts';
import { hasTool } from './tools.ts';

export const CHART = `${ROOT}deploy/helm/kvm-telemetry/`;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [key: string]: unknown;
}

type Values = Readonly<Record<string, unknown>>;

/** Renders the chart with its values changed by these. */
export type Renderer = (changes: Values, release?: { name: string; service: string }) => Manifest[];

export function defaultValues(): Values {
  return parse(readFileSync(`${CHART}values.yaml`, 'utf8')) as Values;
}

/**
 * Debian has no helm: test/kubernetes/render executes the templates with Go's own template engine and sprig.
 *
 * @returns undefined if Go is missing
 */
export function chartRenderer(context: TestContext): Renderer | undefined {
  if (!hasTool(context, 'go', 'golang-go golang-github-masterminds-sprig-dev')) return undefined;
  const folder = temporaryFolder(context);
  const program = join(folder, 'render');
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: '/usr/share/gocode',
    GOCACHE: `${ROOT}dist/go-cache`,
  };
  execute('go', ['build', '-o', program, '.'], { cwd: `${ROOT}test/kubernetes/render`, env });
  const chart = capitalized(parse(readFileSync(`${CHART}Chart.yaml`, 'utf8')) as Values);
  return (changes, { name, service } = { name: 'kvm-telemetry', service: 'Helm' }) => {
    const values = merged(defaultValues(), changes);
    const input = JSON.stringify({ name, service, namespace: 'monitoring', chart, values });
    return manifestsOf(execute(program, [CHART], { input }));
  };
}

/** The manifests of a stream of YAML documents. */
export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Like Helm: maps are merged key by key, everything else is replaced. */
export function merged(base: Values, changes: Values): Values {
  const all: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(changes)) {
    const before = all[key];
    all[key] = isMap(before) && isMap(value) ? merged(before, value) : value;
  }
  return all;
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Helm gives templates the fields of its Go structure: `.Chart.AppVersion`. */
function capitalized(chart: Values): Values {
  return Object.fromEntries(
    Object.entries(chart).map(([key, value]) => [key.slice(0, 1).toUpperCase() + key.slice(1), value]),
  );
}

export function execute(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv; readonly input?: string } = {},
): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    ...options,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args[0]}: exit ${status}: ${stderr}`);
  return stdout;
}
